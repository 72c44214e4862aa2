"""Bad input: it is a dead letter that names the thing, the cause and the remedy, and stops nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from instances import SECONDS, Instance, running, settings_of
from senders import Sent, record_of
from waiting import eventually

from stream_durable import App, Workflow
from stream_durable.core.ids import NAME
from stream_durable.local.kafka import LocalKafka

pytestmark = pytest.mark.real

events = Workflow("event")
events.wait_event("paid", "payment.captured", key="input.id")

app = App("shop", workflows=[events])

Headers = dict[str, str | bytes | None]


class Bad(NamedTuple):
    """A record, the code of its dead letter, and what the reason names."""

    code: str
    named: tuple[str, ...]
    value: bytes
    key: bytes | None = b"42"
    headers: Headers | None = None


def event(**fields: object) -> bytes:
    return msgspec.json.encode({"type": "payment.captured", **fields})


AVRO = record_of(
    Sent("avro", "event", "42", "m1", {"type": "payment.captured", "key": "42", "data": [1, 2]})
)[0]
LONG = "x" * 10_000
NO_TYPE = b'{"specversion":"1.0","id":"1","source":"/a"}'

BAD: dict[str, Bad] = {
    "an event of 2 MB": Bad(
        "too_large",
        ("2000", "1000000 are the most", "pass large data by reference"),
        event(key="42", data="x" * 2_000_000),
    ),
    "a key of 10 kB": Bad(
        "invalid", ("`$.key`", "length <= 512", "An event has the fields"), event(key=LONG)
    ),
    "a record's key of 10 kB": Bad(
        "bad_key", ("has 10000", "at most 511 bytes", "take a shorter one"), event(), LONG.encode()
    ),
    "a run's id of 10 kB": Bad(
        "invalid", ("`$.run`", "length <= 512"), msgspec.json.encode({"signal": "go", "run": LONG})
    ),
    "an unknown field": Bad("invalid", ("`kye`", "type, key, data, by, ttl, message_id"), event(kye="42")),
    "half a character": Bad(
        "unreadable", ("not JSON", "Write one JSON object"), b'{"type":"payment.captured","key":"\\ud800"}'
    ),
    "another schema": Bad(
        "unknown_schema",
        ("0000000000000000", "stream_durable.v1.Event", "schemas/events_topic"),
        b"\xc3\x01" + bytes(20),
    ),
    "Avro that is cut short": Bad("unreadable", ("stream_durable.v1.Event", "cut short"), AVRO[:-3]),
    "two messages in Avro": Bad(
        "unreadable", ("stream_durable.v1.Event", "one record is one message"), AVRO * 2
    ),
    "a CloudEvent without a type": Bad(
        "invalid",
        ("header ce_type", "write the event's name"),
        b"{}",
        headers={"ce_id": "1", "ce_source": "/a"},
    ),
    "a structured CloudEvent without a type": Bad(
        "invalid", ("`type`", "A CloudEvent has the fields"), NO_TYPE
    ),
    "a signal to no run": Bad(
        "unknown_run", ("'nobody'", "start it first"), b'{"signal":"go","run":"nobody"}'
    ),
    "a cancel of no run": Bad("unknown_run", ("'nobody'", "start it first"), b'{"cancel":"","run":"nobody"}'),
    "a claim in no run": Bad(
        "unknown_run", ("'nobody'", "start it first"), b'{"claim":"tom","run":"nobody","wait":"w"}'
    ),
}
LARGE = BAD["an event of 2 MB"]


@pytest.fixture
async def instance(kafka_broker: LocalKafka, database: str, prefix: str) -> AsyncIterator[Instance]:
    async with running(settings_of(kafka_broker, database, prefix), app) as found:
        for each in app.registrations():
            await found.ports.catalogue.register(*each)
        yield found


def take_large(instance: Instance) -> None:
    """Let the events topic take what others may have let it take."""
    topic = f"{instance.settings.prefix}.events"
    entry = ConfigEntry("max.message.bytes", "4000000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": instance.settings.kafka.bootstrap, "log_level": 0})
    for changed in admin.incremental_alter_configs([resource]).values():
        changed.result(SECONDS)


async def test_bad_input_is_a_dead_letter_that_names_thing_cause_and_remedy(instance: Instance) -> None:
    take_large(instance)

    async def is_taken() -> bool:
        with suppress(AssertionError):
            await instance.emit(LARGE.value, key=LARGE.key, partition=0)
            return True
        return False

    await eventually(is_taken, "the brokers hear of the topic's new bound", seconds=SECONDS)
    for bad in list(BAD.values())[1:]:
        await instance.emit(bad.value, key=bad.key, headers=bad.headers, partition=0)
    await instance.emit({"start": "event", "id": "after", "input": {"id": "42"}}, partition=0)
    await instance.emit(event(key="42", data="all the same"), partition=0)

    assert await (await instance.begun("after")).result(timeout="30s") == "all the same"

    letters = await instance.dead_letters(len(BAD))
    at = {int(one.headers["sd_offset"]): one for one in letters if one.headers["sd_topic"] == b"events"}
    inbox = [one for one in letters if one.headers["sd_topic"] == b"inbox"]
    for offset, (name, bad) in enumerate(BAD.items()):
        found = [at[offset]] if offset in at else [one for one in inbox if one.code == bad.code]
        for letter in found:
            assert letter.code == bad.code, (name, letter.reason)
            assert all(part in letter.reason for part in bad.named), (name, letter.reason)
        if offset in at:
            assert (at[offset].key, at[offset].value) == (bad.key, bad.value), name
    assert len(inbox) == sum(bad.code == "unknown_run" for bad in BAD.values())


#: One character of every class of Unicode that UTF-8 can write: beyond ASCII where there is one.
CLASSES = {
    unicodedata.category(char): char
    for char in map(chr, [*range(0x20000, 0x7F, -1), *range(0x7F)])
    if unicodedata.category(char) != "Cs"
}


async def test_names_of_every_class_of_unicode_are_taken_or_refused_by_name(instance: Instance) -> None:
    assert len(CLASSES) == 29
    bad = {kind: char for kind, char in CLASSES.items() if not NAME.match(f"n{char}")}
    for char in bad.values():
        await instance.emit({"type": f"n{char}", "key": "42"})
    runs = {kind: f"r-{char}-{kind}" for kind, char in CLASSES.items() if char != "\0"}
    for kind, run in runs.items():
        await instance.emit({"start": "event", "id": run, "input": {"id": f"k{run}"}}, key=run)
        await instance.emit(event(key=f"k{run}", data=kind), key=run)

    for kind, run in runs.items():
        assert await (await instance.begun(run)).result(timeout="30s") == kind

    letters = await instance.dead_letters(len(bad))
    assert {one.code for one in letters} == {"bad_name"}
    assert all("is not a name of an event: write letters, digits" in one.reason for one in letters)
