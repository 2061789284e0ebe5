"""Scores of named customers: `POST /v1/scores`."""
