"""Repairs that are safe at any time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

from stream_durable import bootstrap, operating
from stream_durable.services.doctor.finding import Finding, Repair, Repaired
from stream_durable.services.doctor.looking import examine, queues_needed
from stream_durable.services.doctor.seen import Seen
from stream_durable.settings import Settings


def repairs_of(found: Sequence[Finding]) -> list[Repair]:
    """Return the repairs for findings, each once, in order."""
    return list(dict.fromkeys(one.repair for one in found if one.repair is not None))


async def repair_all(settings: Settings, say: Callable[[str], None]) -> Repaired:
    """Repair until nothing new can be repaired; say what is done."""
    done, tried = list[str](), set[Repair]()
    seen, found = await examine(settings)
    # A repair may bring more to light: a schema, before the state can be read.
    while left := [one for one in repairs_of(found) if one not in tried]:
        for one in left:
            tried.add(one)
            done.append(await repair(seen, one, say))
            say(f"Repaired: {done[-1]}.")
        seen, found = await examine(settings)
    return Repaired(done, found)


async def repair(seen: Seen, what: Repair, say: Callable[[str], None]) -> str:
    """Make a repair; return what was done, in words."""
    settings = seen.settings
    match what:
        case "migrate":
            applied = await operating.migrate(settings, say=say)
            return f"applied {', '.join(applied)}"
        case "apply_topics":
            steps = await operating.apply_topics(settings, queues_needed(seen))
            done = dict.fromkeys(step.topic for step in steps if step.action in ("create", "change"))
            return f"created or corrected {', '.join(done)}"
        case "reopen_waits":
            count = await bootstrap.reopen_waits(settings, seen.strays)
            return f"let runs ask their channels again, {count} requests in all"
        case _:
            assert_never(what)
