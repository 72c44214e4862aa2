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

A step is `ready` when its command is published, `running` when a long attempt is announced or the members
of a group run, `waiting` when something other than a worker ends it, `retrying` until its next attempt, and
`held` until a person decides about its failure.
A step that is reset, by hand or with the whole graph, begins at `pending` again from any status. The arrows
that lead back from an end belong to reopened groups, and to failed compensations accepted by somebody.
"""

RUN = """
## A run

An ending run stops the steps under way, then undoes completed steps, then tries the whole graph again if its
workflow has `restart=`, and then ends. An ended run runs again when somebody retries it. `runs list` shows a
`running` run as `waiting` when all remaining steps wait, and as `paused` when no step may begin.
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
