"""The format number of everything written by an instance: messages, fold rules, rows and definitions.

A single number for all, because the question is always the same: may this release continue from here? Data
names a format only above the first. A release refuses unknown formats and leaves them to a newer release.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

#: The newest format known to this release.
FORMAT: Final = 2

#: The format of questions to people.
ASKS: Final = 2
#: The format of sleeps by the calendar.
CALENDAR: Final = 2
#: The format of waits for all of several signals.
ALL_OF: Final = 2
#: The format of a bound on the steps of one run.
CONCURRENCY: Final = 2
#: The format of waits that end by a token.
TOKENS: Final = 2
#: The format of functions beside the graph.
BESIDE: Final = 2
#: The format of waits and kept values inside steps.
INSIDE: Final = 2
#: From this one on a start may bring a signal.
START_WITH_SIGNAL: Final = 2
#: The format of events taken by one wait.
TAKE: Final = 2
#: The format of reactions to events, which channels give one by one.
READS: Final = 2
#: The format of ends of attempts that emit.
EMITS: Final = 2
#: The format of messages for later.
LATER: Final = 2
#: The format of schedules, and of starts by them.
SCHEDULES: Final = 2
#: From this one on the first attempts of a run have a lane of their own.
LANES: Final = 2
#: The format of gates with places and rates.
GATES: Final = 2
#: The format of triggers, of starts by them, and of events without a key.
TRIGGERS: Final = 2

#: The format of bindings of topics of others.
BINDINGS: Final = 2
#: The format of steps that are expected by a moment.
DUE: Final = 2

#: The format of steps that are held, and of decisions about them.
HOLD: Final = 2

#: The format of admissions, and of runs that ask them.
ADMISSIONS: Final = 2

#: The format of marks on failed runs.
REVIEWED: Final = 2

#: So far beyond ours a format is made up: to wait for it would hold a partition for ever.
FORMATS_AHEAD_MAX: Final = 100

Format = Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]


def is_made_up(found: int) -> bool:
    """Return whether no release will ever write this format."""
    return found > FORMAT + FORMATS_AHEAD_MAX
