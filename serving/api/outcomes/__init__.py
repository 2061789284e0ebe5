"""What came of an outreach line: `POST /v1/outcomes`."""
