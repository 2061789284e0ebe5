"""A person is erased from every room of the house, and a receipt says so."""
