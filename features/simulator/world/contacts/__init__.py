"""What the operator's contacts do: how much, to whom, and which were made at random in the past."""
