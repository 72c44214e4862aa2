"""What can go wrong with a benchmark."""


class BenchError(Exception):
    """Something could not be measured; the text says what and why."""


class UnknownWorkloadError(BenchError):
    """Something was asked for that is not there."""
