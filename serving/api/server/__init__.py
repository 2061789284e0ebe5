"""The process that serves the API."""
