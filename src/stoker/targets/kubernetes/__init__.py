"""A cluster as a place where a fleet runs."""
