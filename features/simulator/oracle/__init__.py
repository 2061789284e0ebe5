"""The true probabilities, known only because the world is synthetic."""
