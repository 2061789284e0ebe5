"""What the synthetic world writes down: rows of each feed."""
