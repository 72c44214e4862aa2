"""The worker: makes attempts by calling users' functions, and reports how they ended."""
