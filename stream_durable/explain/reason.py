"""The reasons for the standstill or course of a run or step; each code is a class.

A class has the code, the operator's word, the failed check, the facts and the sentence, all in one place; a
missing part is a type error. The modules `stopped`, `moving`, `waiting` and `settled` hold the classes, each
the most urgent first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Final, Literal, get_args

from stream_durable.explain.phrases import Times

#: What an operator reads first, the most urgent first; `Done` is last.
Word = Literal["Needs review", "Blocked", "Running", "Runnable", "Waiting", "Done"]
#: What has to hold for a step to run, in order.
CheckName = Literal["after", "run", "attempts", "wait", "gate", "queue", "command", "worker"]

WORDS: Final[tuple[Word, ...]] = get_args(Word)
ORDER: Final[tuple[CheckName, ...]] = get_args(CheckName)
#: The subject of sentences about a run as a whole.
RUN: Final = "the run"


@dataclass(frozen=True, kw_only=True)
class Reason(ABC):
    """A reason with facts."""

    code: ClassVar[str]
    word: ClassVar[Word]
    check: ClassVar[CheckName]

    #: When it began, and when it ends by itself at the latest.
    since: datetime | None = None
    until: datetime | None = None

    def __init_subclass__(cls, *, code: str, word: Word, check: CheckName) -> None:
        """Register the class of a code; a class without one is a common part of others."""
        cls.code, cls.word, cls.check = code, word, check
        assert _KINDS.get(code, cls).__qualname__ == cls.__qualname__, f"two reasons have code {code!r}"
        if code:
            _KINDS[code] = cls

    @abstractmethod
    def text(self, subject: str, at: Times) -> str:
        """Return the sentence about a step, or about `the run`, without full stop."""

    def sentence(self, subject: str, at: Times) -> str:
        """Return the whole sentence: the hindrance, since when, until when, and the consequence."""
        text = self.text(subject, at)
        return f"{text[0].upper() if text.startswith(RUN) else text[0]}{text[1:]}."

    @property
    def evidence(self) -> dict[str, Any]:
        """The facts, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def was(self, at: Times) -> str:
        """Return ` at 12:41:08`, the beginning, or nothing."""
        return "" if self.since is None else at.on(self.since)

    def comes(self, at: Times) -> str:
        """Return ` at 14:41:08, in 2 h`, the end, or nothing."""
        return "" if self.until is None else at.coming(self.until)


_KINDS: Final[dict[str, type[Reason]]] = {}


@cache
def kinds() -> tuple[type[Reason], ...]:
    """Return the class of every code, the most urgent first."""
    return tuple(sorted(_KINDS.values(), key=lambda kind: WORDS.index(kind.word)))


def urgency(reason: Reason) -> int:
    """Return the place of a reason's code in the order of urgency, from 0."""
    return kinds().index(type(reason))


def named(by: str, reason: str) -> str:
    """Return who asked for something and why, or nothing."""
    return f"{f' by {by}' if by else ''}{f' ({reason})' if reason else ''}"
