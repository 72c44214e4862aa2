"""Whatever is put on a topic: it stops nothing, and is found where an operator looks for it."""

import json
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest
from instances import PARTITIONS
from waiting import eventually

from bad_records.site import HEADERS, Letter, Place, Site, document
from bad_records.workflows import app
from stream_durable.core.ids import partition_of
from stream_durable.core.messages import AttemptCompleted
from stream_durable.wire.inbox import encode

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session")]

_SECONDS = 60.0
_LONG = "x" * 10_000
#: Fewer characters than an id may have bytes, and more bytes.
_WIDE = "訂" * 500
_DEEP = b"[" * 100_000 + b"]" * 100_000
_LARGE = b'"' + b"x" * 5_000_000 + b'"'
_HUGE = 10**30


class Thrown(NamedTuple):
    """A record, and where it is put if not where its key belongs."""

    key: bytes | None
    value: bytes | None
    partition: int | None = None


def start(site: Site, run: str, **fields: object) -> bytes:
    """A start by hand."""
    known = {"id": run, "workflow": "echo", "fingerprint": app.workflows["echo"].fingerprint}
    return document("run.start", run, **{**known, **fields})


def about(run: str, kind: str, **fields: object) -> Thrown:
    return Thrown(run.encode(), document(kind, run, **fields))


def elsewhere(run: str) -> int:
    """A partition that a run does not live in."""
    return (partition_of(run, PARTITIONS) + 1) % PARTITIONS


def deeply_nested(site: Site) -> Thrown:
    value = start(site, "r").removesuffix(b"}") + b',"input":' + _DEEP + b"}"
    return Thrown(b"r", value)


#: Code of the dead letter: records that are none of ours, or make no sense.
DEAD: dict[str, tuple[str, Callable[[Site], Thrown]]] = {
    "random bytes": ("unreadable", lambda _: Thrown(b"r", bytes(range(256)) * 4)),
    "truncated JSON": ("unreadable", lambda s: Thrown(b"r", start(s, "r")[:-9])),
    "nothing in it": ("unreadable", lambda _: Thrown(b"r", b"")),
    "another JSON": ("unreadable", lambda _: Thrown(b"r", b'["run.start"]')),
    "null value": ("unreadable", lambda _: Thrown(b"r", None)),
    "unknown type": ("unreadable", lambda _: about("r", "run.explode")),
    "a type with a NUL": ("unreadable", lambda _: about("r", "run\0start")),
    "a type with half a character": ("unreadable", lambda _: Thrown(b"r", b'{"type":"\\ud800","run":"r"}')),
    "a type that is long": ("unreadable", lambda _: about("r", _LONG * 50)),
    "a type that is a number": ("unreadable", lambda _: Thrown(b"r", b'{"type":7,"run":"r"}')),
    "a field missing": ("unreadable", lambda _: about("r", "run.start", id="r")),
    "a field of another type": ("unreadable", lambda s: Thrown(b"r", start(s, "r", id=["r"]))),
    "not UTF-8": ("unreadable", lambda s: Thrown(b"r", start(s, "r", input="?").replace(b"?", b"\xff"))),
    "a NUL in an id": ("unreadable", lambda s: Thrown(b"r\0r", start(s, "r\0r"))),
    "half a character in an id": (
        "unreadable",
        lambda s: Thrown(b"r", start(s, "?").replace(b"?", b"\\udfff")),
    ),
    "an id of 10,000 characters": ("unreadable", lambda s: Thrown(_LONG.encode(), start(s, _LONG))),
    "an id of 500 letters of three bytes each": ("bad_id", lambda s: Thrown(_WIDE.encode(), start(s, _WIDE))),
    "an event of 500 letters of three bytes each": (
        "bad_id",
        lambda _: Thrown(
            _WIDE.encode(),
            json.dumps(
                {"type": "channel.event", "channel": _WIDE, "id": _WIDE, "ttl_ms": 60_000}, ensure_ascii=True
            ).encode(),
        ),
    ),
    "an empty id": ("unreadable", lambda s: Thrown(b"", start(s, ""))),
    "a huge attempt": (
        "unreadable",
        lambda s: Thrown(
            s.stranded.encode(),
            json.dumps(
                {"type": "attempt.completed", "run": s.stranded, "step": "unserved", "attempt": _HUGE}
            ).encode(),
        ),
    ),
    "a time out of range": (
        "unreadable",
        lambda s: about(s.stranded, "attempt.completed", step="unserved", attempt=1, finished=2**63),
    ),
    "a negative attempt": (
        "unreadable",
        lambda s: about(s.stranded, "attempt.completed", step="unserved", attempt=-1),
    ),
    "deeply nested": ("unreadable", deeply_nested),
    "5 MB": (
        "too_large",
        lambda s: Thrown(b"r", start(s, "r").removesuffix(b"}") + b',"input":' + _LARGE + b"}"),
    ),
    "no key": ("wrong_key", lambda s: Thrown(None, start(s, "r"), 3)),
    "a key that is not the id": ("wrong_key", lambda s: Thrown(b"another", start(s, "r"))),
    "a key that is not UTF-8": ("wrong_key", lambda s: Thrown(b"\xff\xfe", start(s, "r"), 1)),
    "a start in the wrong partition": (
        "wrong_partition",
        lambda s: Thrown(b"r", start(s, "r"), elsewhere("r")),
    ),
    "a signal in the wrong partition": (
        "wrong_partition",
        lambda s: Thrown(
            s.open.encode(), document("run.signal", s.open, id="s", signal="gate"), elsewhere(s.open)
        ),
    ),
    "unknown workflow": ("unknown_workflow", lambda s: Thrown(b"r", start(s, "r", workflow="nowhere"))),
    "a wrong fingerprint": ("unknown_workflow", lambda s: Thrown(b"r", start(s, "r", fingerprint="0" * 16))),
    "the fingerprint of another workflow": (
        "unknown_workflow",
        lambda s: Thrown(b"r", start(s, "r", fingerprint=app.workflows["gated"].fingerprint)),
    ),
    "a result for an unknown run": (
        "unknown_run",
        lambda _: about("nobody's", "attempt.completed", step="answer", attempt=1),
    ),
    "a signal for an unknown run": (
        "unknown_run",
        lambda _: about("nobody's", "run.signal", id="s", signal="gate"),
    ),
    "a result for an unknown step": (
        "unknown_step",
        lambda s: about(s.open, "attempt.completed", step="nowhere", attempt=1),
    ),
    "a result for an unknown attempt": (
        "unknown_attempt",
        lambda s: about(s.stranded, "attempt.completed", step="unserved", attempt=2),
    ),
    "a result for a step that has not begun": (
        "not_begun",
        lambda s: about(s.stranded, "attempt.completed", step="unbegun", attempt=1),
    ),
    "a result for a wait": (
        "unreadable",
        lambda s: about(s.open, "attempt.completed", step="gate", attempt=0),
    ),
    "a timer of an unknown step": (
        "unknown_step",
        lambda s: about(s.open, "run.timer", timer="nowhere", due=1),
    ),
}

#: Outcome in the evidence: what makes sense and changes nothing.
NEEDLESS: dict[str, tuple[str, Callable[[Site], Thrown]]] = {
    "the same start twice": (
        "duplicate",
        lambda s: Thrown(s.ended.encode(), encode(s.message_of_start("echo", s.ended))),
    ),
    "the same result twice": (
        "duplicate",
        lambda s: about(s.ended, "attempt.completed", step="answer", attempt=1, output="another"),
    ),
    "a failure after the result": (
        "late",
        lambda s: about(s.ended, "attempt.failed", step="answer", attempt=1, failure={"code": "c"}),
    ),
    "a result of a later attempt after the end": (
        "late",
        lambda s: about(s.ended, "attempt.completed", step="answer", attempt=7),
    ),
    "a signal after the end": ("late", lambda s: about(s.ended, "run.signal", id="s", signal="gate")),
    "a result for a wait that is open": (
        "late",
        lambda s: about(s.open, "attempt.completed", step="gate", attempt=1),
    ),
    "a timer that nobody asked for": ("late", lambda s: about(s.open, "run.timer", timer="gate", due=1)),
}


async def evidence(site: Site, place: Place) -> str:
    """What the view shows to have become of a record of the inbox."""
    found = await eventually(
        lambda: site.looks.rows(
            "select outcome from evidence_record where partition = $1 and log_offset = $2",
            place.partition,
            place.offset,
        ),
        f"evidence of {place}",
        seconds=_SECONDS,
    )
    assert len(found) == 1
    return found[0]["outcome"]


async def letter_of(site: Site, place: Place) -> Letter:
    """The one dead letter of a record."""
    found = await eventually(lambda: site.letters(place), f"a dead letter of {place}", seconds=_SECONDS)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("name", DEAD)
async def test_garbage_on_the_inbox_is_set_aside_whole(site: Site, name: str) -> None:
    code, make = DEAD[name]
    thrown = make(site)
    counts = [("records_folded", {"outcome": "dead"}), ("dead_letters", {"reason": code})]
    before = [site.counted(counter, **labels) for counter, labels in counts]

    place = await site.send("inbox", thrown.key, thrown.value, partition=thrown.partition)
    await site.goes_on(place.partition)

    assert await evidence(site, place) == "dead"
    letter = await letter_of(site, place)
    assert (letter.key, letter.value) == (thrown.key, thrown.value)
    headers = dict(letter.headers)
    assert headers["sd_code"].decode() == code
    assert headers["sd_reason"].decode()
    assert [header for header in letter.headers if header in HEADERS] == HEADERS
    [row] = await site.looks.rows(
        "select * from dead_letter where partition = $1 and log_offset = $2", place.partition, place.offset
    )
    assert (row["key"], row["value"], row["code"]) == (thrown.key, thrown.value, code)
    assert row["reason"] == headers["sd_reason"].decode()
    assert [site.counted(counter, **labels) for counter, labels in counts] == [n + 1 for n in before]


@pytest.mark.parametrize("name", NEEDLESS)
async def test_what_was_said_before_or_too_late_changes_nothing(site: Site, name: str) -> None:
    outcome, make = NEEDLESS[name]
    thrown = make(site)
    assert thrown.key is not None
    runs = "select * from run where id = $1", thrown.key.decode()
    steps = "select * from step where run_id = $1 order by name", thrown.key.decode()
    rows = [await site.looks.rows(*query) for query in (runs, steps)]
    before = site.counted("records_folded", outcome=outcome)

    place = await site.send("inbox", thrown.key, thrown.value, partition=thrown.partition)
    await site.goes_on(place.partition)

    assert await evidence(site, place) == outcome
    assert [await site.looks.rows(*query) for query in (runs, steps)] == rows
    assert not await site.letters(place)
    assert site.counted("records_folded", outcome=outcome) == before + 1


async def test_a_cancellation_after_the_end_is_kept_once_and_changes_nothing_else(site: Site) -> None:
    run = await site.start("echo", partition=2)
    await site.completed(run)

    async def rows() -> tuple[dict[str, object], list[object]]:
        [row] = await site.looks.rows("select * from run where id = $1", run)
        steps = await site.looks.rows("select * from step where run_id = $1 order by name", run)
        return dict(row), list(steps)

    async def outcome_of(order: str) -> str:
        place = await site.send("inbox", run.encode(), document("run.cancel", run, id=order))
        await site.goes_on(place.partition)
        assert not await site.letters(place)
        return await evidence(site, place)

    row, steps = await rows()
    assert await outcome_of("first") == "applied"

    kept, steps_after = await rows()
    assert {name for name in row if row[name] != kept[name]} == {"requests", "updated"}
    assert steps_after == steps
    assert msgspec.json.decode(kept["requests"])["late_cancel"]["id"] == "first"

    assert await outcome_of("second") == "late"
    assert await rows() == (kept, steps)


@pytest.mark.parametrize(
    "name", ["the same signal twice", "a start as its own duplicate"], ids=lambda name: name.replace(" ", "-")
)
async def test_a_repeat_counts_once(site: Site, name: str) -> None:
    run = await site.start("gated", partition=3)
    await eventually(
        lambda: site.looks.rows("select 1 from step where run_id = $1 and name = 'gate'", run),
        "it waits",
        seconds=_SECONDS,
    )
    value = (
        document("run.signal", run, id="same", signal="other")
        if "signal" in name
        else encode(site.message_of_start("gated", run))
    )

    places = [await site.send("inbox", run.encode(), value) for _ in range(3)]
    await site.send("inbox", run.encode(), document("run.signal", run, id="last", signal="gate", data=1))
    await site.completed(run)

    outcomes = [await evidence(site, place) for place in places]
    assert outcomes[1:] == ["duplicate", "duplicate"]
    assert outcomes[0] == ("applied" if "signal" in name else "duplicate")


COMMANDS: dict[str, Callable[[Site], Thrown]] = {
    "random bytes": lambda _: Thrown(b"r", bytes(range(256)) * 4),
    "truncated JSON": lambda _: Thrown(b"r", document("attempt", "r", step="answer")[:-7]),
    "null value": lambda _: Thrown(b"r", None),
    "unknown type": lambda _: about("r", "explode"),
    "wrong types": lambda _: about("r", "attempt", step=7, attempt="1", workflow="echo", fingerprint=None),
    "no key": lambda _: Thrown(None, b"\x00", 2),
    "deeply nested": lambda _: Thrown(
        b"r", document("attempt", "r").removesuffix(b"}") + b',"input":' + _DEEP + b"}"
    ),
    "5 MB of nothing": lambda _: Thrown(b"r", _LARGE),
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_garbage_on_a_command_topic_is_set_aside_whole(site: Site, name: str) -> None:
    thrown = COMMANDS[name](site)
    before = site.counted("dead_letters", reason="unreadable")

    place = await site.send("commands.default", thrown.key, thrown.value, partition=thrown.partition)
    await site.goes_on(place.partition)

    letter = await letter_of(site, place)
    assert (letter.key, letter.value) == (thrown.key, thrown.value)
    headers = dict(letter.headers)
    assert headers["sd_code"] == b"unreadable"
    assert headers["sd_reason"]
    assert [header for header in letter.headers if header in HEADERS] == HEADERS
    assert site.counted("dead_letters", reason="unreadable") == before + 1


@pytest.mark.parametrize(
    ("run", "attempt", "code"),
    [
        pytest.param("nobody's", 1, "unknown_run", id="unknown run"),
        pytest.param("nobody", _HUGE, "unreadable", id="a huge attempt"),
        pytest.param("nobody\0s", 1, "unreadable", id="a NUL in the id"),
        pytest.param(_LONG, 1, "unreadable", id="an id of 10,000 characters"),
    ],
)
async def test_a_command_that_nobody_asked_for_ends_as_a_dead_result(
    site: Site, run: str, attempt: int, code: str
) -> None:
    fields = {"step": "answer", "attempt": attempt, "workflow": "echo", "fingerprint": "f", "input": 1}
    command = json.dumps({"type": "attempt", "run": run, **fields}).encode()

    place = await site.send("commands.default", run.encode(), command)
    await site.goes_on(place.partition)

    async def dead_result() -> list[Letter]:
        return [
            Letter(message.key(), message.value(), message.headers())
            for messages in await site.looks.records("dead")
            for message in messages
            if message.key() == run.encode() and dict(message.headers())["sd_code"] == code.encode()
        ]

    [letter] = [
        one
        for one in await eventually(dead_result, "the result is refused", seconds=_SECONDS)
        if b"attempt.completed" in one.value and b"worker" in one.value
    ]
    assert msgspec.json.decode(letter.value)["run"] == run


async def ended(site: Site, run: str) -> None:
    await eventually(
        lambda: site.looks.rows("select 1 from run where id = $1 and ended is not null", run),
        f"{run} ends",
        seconds=10,
    )


ODD = {
    "a huge integer": str(10**400).encode(),
    "a huge float": b"1e999",
    "half a character": b'"\\ud800"',
    "a NUL": b'{"a\\u0000":"\\u0000"}',
    "a key twice": b'{"a":1,"a":2}',
    "800 KB": b'"' + b"x" * 800_000 + b'"',
    **{f"nested {depth} deep": b"[" * depth + b"]" * depth for depth in (100, 900, *range(975, 997, 3))},
}


@pytest.mark.parametrize("name", ODD)
async def test_a_run_with_an_odd_input_ends_or_is_refused(site: Site, name: str) -> None:
    run = site.id_in(0)
    message = site.message_of_start("echo", run, ODD[name])

    place = await site.send("inbox", run.encode(), encode(message))
    await site.goes_on(place.partition)

    if await evidence(site, place) == "dead":
        await letter_of(site, place)
        return
    await ended(site, run)


@pytest.mark.parametrize("name", ODD)
async def test_a_run_with_an_odd_output_ends_or_is_refused(site: Site, name: str) -> None:
    run = site.id_in(2)
    await site.send("inbox", run.encode(), encode(site.message_of_start("stranded", run)))
    result = AttemptCompleted(key=run, step="unserved", attempt=1, output=msgspec.Raw(ODD[name]))

    place = await site.send("inbox", run.encode(), encode(result))
    await site.goes_on(place.partition)

    if await evidence(site, place) == "dead":
        # A worker would have reported a failure instead.
        await letter_of(site, place)
        await site.send("inbox", run.encode(), document("run.cancel", run, id="c"))
    await ended(site, run)


async def test_after_all_of_it_nothing_is_missing(site: Site) -> None:
    for partition in range(PARTITIONS):
        await site.goes_on(partition)

    await eventually(lambda: _is_quiet(site), "all is folded and said", seconds=_SECONDS)

    ends = await site.looks.ends("inbox")
    for partition, end in enumerate(ends):
        found = await site.looks.rows(
            "select log_offset from evidence_record where partition = $1 order by 1", partition
        )
        assert [row["log_offset"] for row in found] == list(range(end))
    dead = await site.looks.value("select count(*) from evidence_record where outcome = 'dead'")
    assert dead == await site.looks.value("select count(*) from dead_letter")
    unfinished = await site.looks.rows("select id from run where ended is null")
    assert {row["id"] for row in unfinished} == {site.open, site.stranded}


async def _is_quiet(site: Site) -> bool:
    cursors = await site.looks.cursors()
    return (
        [cursor.next_offset for cursor in cursors.values()] == await site.looks.ends("inbox")
        and await site.looks.committed("commands.default", "worker.default")
        == await site.looks.ends("commands.default")
        and await site.looks.value("select count(*) from outbox") == 0
    )
