"""Kafka: the log, the publisher, the definitions topic and the topics themselves.

The only importer of confluent_kafka. Each consumer has a thread making every call.
"""
