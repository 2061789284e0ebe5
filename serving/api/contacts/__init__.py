"""What a campaign tool sent: `POST /v1/contacts`."""
