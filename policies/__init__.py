"""Evidence to decision, assignment and clearance: pure rules, the YAML policies and the endpoint registry."""
