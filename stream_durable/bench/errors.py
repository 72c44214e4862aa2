"""Errors of a benchmark."""


class BenchError(Exception):
    """A measurement failed; the text names the cause."""


class UnknownWorkloadError(BenchError):
    """An unknown workload was requested."""
