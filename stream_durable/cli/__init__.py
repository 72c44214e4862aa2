"""The command line: parsing and printing. What a command needs is imported when it runs."""

from stream_durable.cli.root import main

__all__ = ["main"]
