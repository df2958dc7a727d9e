"""OpenAI's Files and Batches, also as Azure and others serve them."""
