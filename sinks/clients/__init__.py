"""One module per vendor SDK, and what keeps their connections where the registry says."""
