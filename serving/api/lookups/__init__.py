"""The customer on the phone: `POST /v1/lookups`."""
