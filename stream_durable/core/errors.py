"""The error families, by the action required of the caller."""

from __future__ import annotations


class StreamDurableError(Exception):
    """Root of everything this package raises on purpose; `code` is stable across releases."""

    code = "error"


class RejectedError(StreamDurableError):
    """The sender is wrong: answer it and go on. Retrying the same thing cannot help."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NewerFormatError(RejectedError):
    """Data was written by a newer release; only a release with this format can continue."""

    def __init__(self, what: str, found: int, knows: int) -> None:
        super().__init__(
            "newer_format",
            f"{what} has format {found}, and this release knows none beyond {knows}: "
            "a newer one has to take over",
        )


class TransientError(StreamDurableError):
    """The world is wrong at the moment: a broker or a database is away. Retrying helps."""

    code = "transient"


class SystemicError(TransientError):
    """A database refuses everybody, until somebody mends it: no record is to blame, and none is suspected."""

    code = "systemic"


class StatementError(TransientError):
    """A database refuses a statement for content or duration: a smaller statement may pass."""

    code = "statement"

    def __init__(self, message: str, *, is_data: bool) -> None:
        super().__init__(message)
        #: Whether the data can never be stored by this database.
        self.is_data = is_data


class ReplacedError(TransientError):
    """Another process owns these partitions: rows read from there belong to another state."""

    code = "replaced"

    def __init__(self, partitions: list[int]) -> None:
        super().__init__(f"partitions {partitions} have another owner")
        self.partitions = partitions


class BrokenError(StreamDurableError):
    """We are wrong: an invariant does not hold. Stop the part concerned and tell a person."""

    code = "broken"
