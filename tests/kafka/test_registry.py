"""The schema registry: what is read there, what is registered, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from pydantic import SecretStr
from registry import Registry, serving

from stream_durable.admission import learn
from stream_durable.core.bindings import Binding, BoundEvent
from stream_durable.core.errors import RejectedError, TransientError
from stream_durable.core.messages import EmittedRecord
from stream_durable.kafka.registry import SchemaRegistry, registry_of
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.app import App
from stream_durable.sdk.emitting import Emissions
from stream_durable.sdk.workflow import Workflow
from stream_durable.settings import RegistrySettings
from stream_durable.wire.foreign import Values, framed
from stream_durable.worker.emitting import Emitting

ORDER = {
    "type": "record", "name": "Order", "namespace": "shop", "fields": [{"name": "id", "type": "string"}],
}  # fmt: skip
BINDING = Binding(
    name="b", app="a", topic="t", encoding="avro", becomes=BoundEvent(event="e"),
    schema='{"type":"record","name":"Other","fields":[{"name":"no","type":"long"}]}',
)  # fmt: skip


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving() as found:
        yield found


def asking(registry: Registry, **settings: Any) -> SchemaRegistry:
    return SchemaRegistry(RegistrySettings(url=registry.url, **settings))


def body(schema: Any, value: Any) -> bytes:
    out = BytesIO()
    schemaless_writer(out, parse_schema(schema), value)
    return out.getvalue()


async def test_a_framed_value_is_read_by_the_schema_that_it_names(registry: Registry) -> None:
    number = registry.add("t-value", ORDER)
    values, value = Values(BINDING, has_registry=True), framed(number, body(ORDER, {"id": "o1"}))
    for _ in range(2):
        await learn(values, [value, None, b"plain"], asking(registry))
        assert values.read(value) == {"id": "o1"}
    assert registry.asked == [f"/schemas/ids/{number}"]
    assert values.read(b"\x0e") == {"no": 7}


async def test_references_are_read_with_the_schema(registry: Registry) -> None:
    items = [{"name": "item", "type": "string"}]
    line = {"type": "record", "name": "Line", "namespace": "shop", "fields": items}
    registry.add("lines", line)
    lines = {"name": "lines", "type": {"type": "array", "items": "shop.Line"}}
    whole = {**ORDER, "fields": [*ORDER["fields"], lines]}
    number = registry.add("t-value", whole, [{"name": "shop.Line", "subject": "lines", "version": 1}])
    values = Values(BINDING, has_registry=True)
    inline = {**ORDER, "fields": [*ORDER["fields"], {**lines, "type": {"type": "array", "items": line}}]}
    value = framed(number, body(inline, {"id": "o1", "lines": [{"item": "tea"}]}))
    await learn(values, [value], asking(registry))

    assert values.read(value) == {"id": "o1", "lines": [{"item": "tea"}]}


async def test_an_unknown_number_concerns_its_values_until_it_is_registered(registry: Registry) -> None:
    values, ask = Values(BINDING, has_registry=True), asking(registry)
    lost, garbage = framed(1, body(ORDER, {"id": "o1"})), framed(2, b"\xff")
    await learn(values, [lost, garbage], ask)
    with pytest.raises(RejectedError, match=f"registry at {registry.url} .* has no schema 1: register"):
        values.read(lost)

    registry.add("t-value", ORDER)
    registry.add("other-value", {"type": "nothing"})
    await learn(values, [lost, garbage], ask)
    assert values.read(lost) == {"id": "o1"}
    with pytest.raises(RejectedError, match="schema 2 of the registry is no schema of Avro"):
        values.read(garbage)


async def test_a_registry_that_is_away_or_refuses_us_is_named_with_the_remedy(registry: Registry) -> None:
    registry.credentials = "ann:secret"
    registry.add("t-value", ORDER)
    with pytest.raises(TransientError, match="401.*check registry.credentials"):
        await asking(registry).schema(1)
    assert (await asking(registry, credentials=SecretStr("ann:secret")).schema(1)).kind == "AVRO"
    registry.close()
    with pytest.raises(TransientError, match=f"registry at {registry.url} .registry.url. does not answer"):
        await asking(registry).schema(1)


async def test_without_a_registry_a_framed_value_says_so() -> None:
    with pytest.raises(RejectedError, match="registry.url names none"):
        Values(BINDING).read(framed(1, b"\x02\x02\x02"))
    assert registry_of(RegistrySettings()) is None


async def test_emitted_avro_is_registered_once_and_framed(registry: Registry) -> None:
    flow = Workflow("any")
    flow.wait_signal("go")
    app = App("shop", workflows=[flow])
    topic = app.topic("parcels", format="avro", schema=ORDER)
    emitting = Emitting(registry=asking(registry), schemas=app.schemas)
    for _ in range(2):
        emissions = Emissions()
        emissions.record(topic, "k", {"id": "p1"})
        emissions.record("plain", "k", {"id": "p1"})
        emissions.record(topic, "k", None)
        await emitting.prepare(emissions)
        avro, plain, tombstone = emissions.list
        assert isinstance(avro, EmittedRecord) and isinstance(plain, EmittedRecord)
        assert avro.value == framed(1, topic.encode({"id": "p1"}))
        assert plain.value == b'{"id":"p1"}'
        assert isinstance(tombstone, EmittedRecord) and tombstone.value is None
    assert registry.asked == ["/subjects/parcels-value/versions"]

    registry.closed.add("closed-value")
    closed = Emissions()
    closed.record(app.topic("closed", format="avro", schema=ORDER), "k", {"id": "p1"})
    with pytest.raises(Fail, match="does not take the schema of topic 'closed': incompatible"):
        await emitting.prepare(closed)
