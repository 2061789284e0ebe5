"""Middle floor: from moments to a model somebody may deploy."""
