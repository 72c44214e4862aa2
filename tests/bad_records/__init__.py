"""Input that nobody should send, to a live instance."""
