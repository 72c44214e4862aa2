"""A workflow as data: the graph of steps, how it is checked, and the fingerprint it is known by."""
