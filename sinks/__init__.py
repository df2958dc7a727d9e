"""Every exit there is. Whoever has read this folder has seen every way out of the building."""
