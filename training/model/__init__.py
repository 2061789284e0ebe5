"""How a model is learned and calibrated."""
