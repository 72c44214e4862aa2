"""A workflow as data: the graph of steps, its validation, and its fingerprint."""
