"""Durable workflows whose commands and results flow over Kafka and whose state is kept in Postgres."""
