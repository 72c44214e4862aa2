"""Examines an instance: what is seen of it, a table of checks, and repairs that are safe at any time."""
