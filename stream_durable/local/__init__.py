"""A real Kafka and a real Postgres on this machine, for development, tests and benchmarks."""
