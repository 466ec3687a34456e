"""tasks/brains."""
