"""Outreach lists: create, read, export under `/v1/outreach/lists`."""
