"""A bundle into a pack."""
