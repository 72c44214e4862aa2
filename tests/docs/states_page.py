"""Prints docs/explanation/states.md: `python tests/docs/states_page.py > docs/explanation/states.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from stream_durable.core.status import PENDING, RUN_ENDED, RUN_MOVES, STEP_ENDED, STEP_MOVES

HEAD = """\
# How steps and runs move

<!-- Generated: python tests/docs/states_page.py > docs/explanation/states.md -->

The pictures are drawn from the tables in `stream_durable/core/status.py`. The tests of the core hold
every move that a step or a run makes against these tables.
"""

STEP = """
## A step

A step is `ready` when a worker has been asked for it, `running` when a long attempt has said so or when
it is a group whose members run, `waiting` when something other than a worker ends it, and `retrying`
until its next attempt. What is made anew, by hand or with the whole graph, begins at `pending` again,
whatever it had come to; the arrows that lead back from an end are those of groups that are opened again,
and of an undo that somebody accepts although it has failed.
"""

RUN = """
## A run

A run that is on its way to an end stops what is under way, then undoes what has completed, then tries the
whole graph again if its workflow says so, and then ends. A run that has ended runs again when somebody
retries it. `runs list` shows a run that is `running` as `waiting` when all that is left of it waits, and
as `paused` when no step of it may begin.
"""


def page() -> str:
    """Return the page."""
    return "".join([
        HEAD, STEP, *_diagram(STEP_MOVES, STEP_ENDED), RUN, *_diagram(RUN_MOVES, RUN_ENDED),
    ])  # fmt: skip


def _diagram(moves: Mapping[str, frozenset[str]], ended: frozenset[str]) -> Iterator[str]:
    yield "\n```mermaid\nstateDiagram-v2\n"
    yield f"    [*] --> {PENDING}\n"
    for before, possible in moves.items():
        for after in sorted(possible, key=list(moves).index):
            yield f"    {before} --> {after}\n"
    for status in (each for each in moves if each in ended):
        yield f"    {status} --> [*]\n"
    yield "```\n"


if __name__ == "__main__":
    sys.stdout.write(page())
