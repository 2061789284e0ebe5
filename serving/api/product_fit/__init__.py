"""A customer's product fit: `GET /v1/customers/{customer_id}/product-fit`."""
