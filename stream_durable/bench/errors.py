"""The one error of the benchmark."""


class BenchError(Exception):
    """Something could not be measured; the text says what and why."""
