"""The services in memory, and a deployment on them, in one thread on virtual time."""
