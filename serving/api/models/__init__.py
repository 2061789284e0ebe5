"""The models that serve: `GET /v1/models`."""
