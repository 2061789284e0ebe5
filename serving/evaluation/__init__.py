"""What the synthetic truth says about scores and reasons."""
