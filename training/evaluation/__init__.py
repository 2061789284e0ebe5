"""What a model is worth, and whether it may serve."""
