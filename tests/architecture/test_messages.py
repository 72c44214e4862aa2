"""A new message is complete when it has a handler, a golden line and a name in the evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import get_args

import msgspec

from architecture.sources import ROOT, migration
from stream_durable.core.fold import HANDLERS
from stream_durable.core.messages import MESSAGE_TYPES, Kind, Message
from stream_durable.core.status import RUN_ENDED, STEP_ENDED, Outcome

TAGS = [str(kind.__struct_config__.tag) for kind in MESSAGE_TYPES]


def tagged(kind: type[Message]) -> Iterator[type[Message]]:
    """Return the messages below a class that have a name of their own on the wire."""
    for below in kind.__subclasses__():
        if below.__struct_config__.tag != below.__name__:
            yield below
        yield from tagged(below)


def test_every_message_is_listed_once() -> None:
    assert set(MESSAGE_TYPES) == set(tagged(Message))
    assert len(set(TAGS)) == len(MESSAGE_TYPES)


def test_every_message_has_a_handler_of_its_own() -> None:
    assert set(HANDLERS) == set(MESSAGE_TYPES)
    assert len(set(HANDLERS.values())) == len(HANDLERS)


def test_every_message_says_which_kind_of_entity_it_is_for() -> None:
    assert {kind.kind for kind in MESSAGE_TYPES} == set(get_args(Kind))
    for kind in MESSAGE_TYPES:
        (encoded,) = [f.encode_name for f in msgspec.structs.fields(kind) if f.name == "key"]
        assert encoded == kind.kind


def test_every_message_has_a_golden_line() -> None:
    lines = (ROOT / "tests" / "wire" / "golden" / "inbox.jsonl").read_text().splitlines()

    assert {json.loads(line)["type"] for line in lines} == set(TAGS)


def test_evidence_names_types_by_their_position() -> None:
    known = (ROOT / "tests" / "wire" / "golden" / "message_types.txt").read_text().splitlines()

    assert TAGS[: len(known)] == known, "a new message goes to the end of AnyMessage"


def test_evidence_names_outcomes_by_their_position() -> None:
    view = re.search(r"view evidence_record as(.*?);", migration(3), re.DOTALL)
    assert view is not None
    (outcomes,) = re.findall(r"array\[(.*?)\]", view[1], re.DOTALL)

    assert re.findall(r"'([^']+)'", outcomes) == [outcome.name.lower() for outcome in sorted(Outcome)]


def test_the_database_knows_every_status_in_which_something_ends() -> None:
    for table, ended in (("run", RUN_ENDED), ("step", STEP_ENDED)):
        of_table = rf"(?:create table {table} \(|constraint {table}_status_check )"
        *_, check = re.findall(
            rf"{of_table}.*?check \(status in \((.*?)\)\)",
            migration(1) + migration(2) + migration(25),
            re.DOTALL,
        )
        assert ended <= set(re.findall(r"'(\w+)'", check))
