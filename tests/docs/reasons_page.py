"""Prints docs/reference/reasons.md: `python tests/docs/reasons_page.py > docs/reference/reasons.md`."""

from __future__ import annotations

import inspect
import sys
from dataclasses import fields

from stream_durable.explain import explained  # noqa: F401 - with it comes every reason
from stream_durable.explain.reason import ORDER, WORDS, Reason, kinds

HEAD = """\
# Why it is not moving

<!-- Generated: python tests/docs/reasons_page.py > docs/reference/reasons.md -->

`stream-durable why RUN [STEP]` and the [client's](../language/client.md#why-it-is-not-moving) `run.why(step)`
answer with an operator's word, a code from the table below, one whole sentence and the facts behind it. A run
is explained by what matters most: by the run itself if that is held up or ended, otherwise by the most urgent
of its open steps. The table is in that order; between steps of the same code the order of the definition
decides.

Facts besides `since` and `until`, when it began and when it ends by itself, are in the last column.

"""
CHECKS = """
A step runs when all of these hold. They are checked in order, up to the first that does not:
{}.

## What cannot be known

- Offsets, members of groups and lag come from Kafka when they are asked for. With a broker in memory, such as
  that of the testing kit, they are left out: a command is then on its way to a worker of its queue.
- A command is looked for among the first unfinished ones of its partition (10,000 records). One that is not
  there has been worked off, or is not published yet: `handled`.
- Which workflows a worker carries is known from its records on `sd.control` (`no_carrier`), and whether it
  has the function of a step only when it gives a command back (`not_carried`). Who reads a queue is known
  from its group.
- `no_owner` and `behind` go by the consumer group and by what is folded into Postgres. A hanging reconciler
  with nothing to read is not found.
- An attempt shorter than `worker.started_after_ms` does not report its beginning: its command counts as
  unfinished.
"""


def page() -> str:
    """Return the page."""
    rows = [
        "| word | code | check | meaning | facts |",
        "| --- | --- | --- | --- | --- |",
        *map(_row, kinds()),
    ]
    assert {kind.word for kind in kinds()} <= set(WORDS)
    return HEAD + "\n".join(rows) + "\n" + CHECKS.format(", ".join(f"`{name}`" for name in ORDER))


def _row(kind: type[Reason]) -> str:
    common = {field.name for field in fields(Reason)}
    facts = ", ".join(f"`{field.name}`" for field in fields(kind) if field.name not in common)
    meaning = " ".join((inspect.getdoc(kind) or "").split())
    return f"| {kind.word} | `{kind.code}` | {kind.check} | {meaning} | {facts} |"


if __name__ == "__main__":
    sys.stdout.write(page())
