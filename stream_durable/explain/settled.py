"""Reasons of what has ended and needs nobody."""

from __future__ import annotations

from dataclasses import dataclass

from stream_durable.explain.phrases import Times, quoted
from stream_durable.explain.reason import Reason, named


@dataclass(frozen=True, kw_only=True)
class Completed(Reason, code="completed", word="Done", check="worker"):
    """Everything was done."""

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return f"{subject} completed{self.was(at)}"


@dataclass(frozen=True, kw_only=True)
class Compensated(Reason, code="compensated", word="Done", check="run"):
    """All done is undone."""

    by: str
    reason: str
    failure: str
    message: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        failed = f" after {self.failure}{quoted(self.message)}" if self.failure else ""
        return f"{subject} was undone{self.was(at)}{failed}{named(self.by, self.reason)}"


@dataclass(frozen=True, kw_only=True)
class Reviewed(Reason, code="reviewed", word="Done", check="run"):
    """The run failed, and a person has looked at it."""

    by: str
    reason: str
    failure: str
    message: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        failed = f"{self.failure}{quoted(self.message)}"
        return f"{subject} failed{self.was(at)} with {failed}, and was reviewed{named(self.by, self.reason)}"


@dataclass(frozen=True, kw_only=True)
class Cancelled(Reason, code="cancelled", word="Done", check="run"):
    """Cancelled, or not begun before the end of the run."""

    by: str
    reason: str
    #: False: a step that had not begun.
    has_begun: bool = True

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        if not self.has_begun:
            return f"{subject} did not run before the run ended{self.was(at)}{named(self.by, self.reason)}"
        return f"{subject} was cancelled{named(self.by, self.reason)}{self.was(at)}"


@dataclass(frozen=True, kw_only=True)
class Merged(Reason, code="merged", word="Done", check="run"):
    """The run ended without having begun: by `starts=`, another run is the taker."""

    into: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return f"{subject} was merged into run {self.into}{self.was(at)}"


@dataclass(frozen=True, kw_only=True)
class Skipped(Reason, code="skipped", word="Done", check="after"):
    """The step was passed over."""

    failure: str
    message: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return f"{subject} was skipped{self.was(at)}{quoted(self.message or self.failure)}"
