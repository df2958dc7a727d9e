"""The road of a night: sources, job, prompts, the Prefect flows, the command line."""
