"""Kafka: the log, the publisher, the definitions topic and the topics themselves.

The only importer of confluent_kafka. One thread owns each consumer and makes every call on it.
"""
