"""Bytes to core values and back: JSON inside (inbox, commands), Avro and CloudEvents outside."""
