"""Services in memory, and a deployment on them, in one thread on virtual time."""
