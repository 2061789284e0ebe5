"""From a portrait to a propensity with reasons; one path for batch and API."""
