"""Real processes on a real Kafka and Postgres, killed, stopped and restarted under load."""
