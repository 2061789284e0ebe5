"""What comes back from agents and campaign tools: read, judged, recorded, landed."""
