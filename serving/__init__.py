"""Top floor: from a model to a score, a reason, an offer, a list."""
