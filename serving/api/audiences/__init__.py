"""Filtered, policy-checked sets of customers: `GET /v1/audiences`."""
