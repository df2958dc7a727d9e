"""`waybill audit report`: what the ledger says of a period, as one HTML file that needs nothing else."""
