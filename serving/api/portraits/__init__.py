"""A customer's portrait: `GET /v1/customers/{customer_id}/portrait`."""
