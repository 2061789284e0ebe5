"""The HTTP service for marketing, care and CRM."""
