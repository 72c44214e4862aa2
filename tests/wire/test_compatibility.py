"""The public schemas: what today's say, every released one understands, and the other way round."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import given, settings
from hypothesis import strategies as st

SCHEMAS = Path(__file__).parents[2] / "schemas"
NAMES = ("run_event.avsc", "step_event.avsc")
RELEASED = sorted((SCHEMAS / "released").glob("*/*.avsc"))

#: What was released is never edited. (A fingerprint leaves documentation out.)
FINGERPRINTS = {
    "1/run_event.avsc": "bd43ed17a13cde0c",
    "1/step_event.avsc": "b6c43848113f6f77",
}

Schema = dict[str, Any]


def load(path: Path) -> Schema:
    loaded: Schema = json.loads(path.read_text())
    return loaded


def breaches(old: Schema, new: Schema, where: str = "") -> list[str]:
    """What in `new` breaks readers of `old`, or readers of `new` that meet what `old` wrote."""
    if (old["name"], old.get("namespace")) != (new["name"], new.get("namespace")):
        return [f"{where}{old['name']} has another name"]
    before, after = fields(old), fields(new)
    found = [f"{where}{name} is gone" for name in before.keys() - after.keys()]
    found += [
        f"{where}{name} is new and has no default"
        for name in after.keys() - before.keys()
        if "default" not in after[name]
    ]
    for name in before.keys() & after.keys():
        found += changes(before[name], after[name], f"{where}{name}")
    return found


def changes(old: Schema, new: Schema, where: str) -> list[str]:
    """What differs in a field that matters."""
    found = []
    if old.get("default", ...) != new.get("default", ...):
        found.append(f"{where} has another default")
    if shape(old["type"]) != shape(new["type"]):
        found.append(f"{where} has another type")
    for inner, other in zip(records(old["type"]), records(new["type"]), strict=False):
        found += breaches(inner, other, f"{where}.")
    return found


def fields(record: Schema) -> dict[str, Schema]:
    return {field["name"]: field for field in record["fields"]}


def shape(kind: Any) -> Any:
    """A type, with the records in it by name alone."""
    if isinstance(kind, list):
        return [shape(branch) for branch in kind]
    if isinstance(kind, dict):
        return kind["name"] if kind["type"] == "record" else (kind["type"], kind.get("logicalType"))
    return kind


def records(kind: Any) -> list[Schema]:
    """The records in a type."""
    branches = kind if isinstance(kind, list) else [kind]
    return [branch for branch in branches if isinstance(branch, dict) and branch["type"] == "record"]


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type."""
    if isinstance(kind, list):
        return st.one_of([values(branch) for branch in kind])
    if isinstance(kind, dict) and kind["type"] == "record":
        return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in kind["fields"]})
    if isinstance(kind, dict) and kind["type"] == "array":
        return st.lists(values(kind["items"]), max_size=3)
    if isinstance(kind, dict):
        return st.integers(0, 4_000_000_000_000)
    return {
        "null": st.none(),
        "string": st.text(max_size=20),
        "long": st.integers(-(1 << 63), (1 << 63) - 1),
        "boolean": st.booleans(),
    }[kind]


def carried(value: Any, writer: Schema, reader: Schema) -> Any:
    """What a reader makes of a written value."""
    body = BytesIO()
    schemaless_writer(body, parse_schema(copy.deepcopy(writer)), value)
    body.seek(0)
    return schemaless_reader(body, parse_schema(copy.deepcopy(writer)), parse_schema(copy.deepcopy(reader)))


def expected(value: Any, writer: Schema, reader: Schema) -> Any:
    """What a reader should make of a written value: what both know, and defaults."""
    known = carried(value, writer, writer)
    made = {}
    for name, field in fields(reader).items():
        inner = records(field["type"])
        if name not in known:
            made[name] = field["default"]
        elif inner and known[name] is not None:
            theirs = records(fields(writer)[name]["type"])[0]
            made[name] = expected(value[name], theirs, inner[0])
        else:
            made[name] = known[name]
    return made


def test_every_release_has_every_schema_and_none_was_edited() -> None:
    found = {
        str(path.relative_to(SCHEMAS / "released")): fingerprint(
            to_parsing_canonical_form(load(path)), "CRC-64-AVRO"
        )
        for path in RELEASED
    }

    assert found == FINGERPRINTS
    assert {path.name for path in RELEASED} == set(NAMES)


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_current_schema_breaks_no_released_one(released: Path) -> None:
    assert breaches(load(released), load(SCHEMAS / released.name)) == []


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: f"{path.parent.name}-{path.stem}")
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_records_written_under_either_are_read_under_the_other(released: Path, data: st.DataObject) -> None:
    pair = load(released), load(SCHEMAS / released.name)
    for writer, reader in (pair, pair[::-1]):
        value = data.draw(values(writer))

        assert carried(value, writer, reader) == expected(value, writer, reader)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_documented_and_one_that_may_be_null_is_null_by_default(name: str) -> None:
    def check(record: Schema) -> None:
        assert record["doc"]
        for field in record["fields"]:
            assert field["doc"], field["name"]
            assert field["name"] == field["name"].lower()
            if isinstance(field["type"], list):
                assert field["type"][0] == "null"
                assert field["default"] is None
            for inner in records(field["type"]):
                check(inner)

    check(load(SCHEMAS / name))


def test_both_schemas_say_the_same_of_what_both_have() -> None:
    step, run = (fields(load(SCHEMAS / name)) for name in reversed(NAMES))
    failures = [records(kind["failure"]["type"])[0] for kind in (step, run)]

    assert failures[0] == failures[1]
    for name in step.keys() & run.keys():
        assert shape(step[name]["type"]) == shape(run[name]["type"])


# What must not pass: each takes the current schema and does to it what a careless hand might.


def failure_of(schema: Schema) -> list[Schema]:
    inner: list[Schema] = records(fields(schema)["failure"]["type"])[0]["fields"]
    return inner


def drop_a_field(schema: Schema) -> None:
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "trace"]


def drop_a_field_within(schema: Schema) -> None:
    failure_of(schema).pop()


def rename_a_field(schema: Schema) -> None:
    fields(schema)["run"]["name"] = "run_id"


def add_a_field_without_a_default(schema: Schema) -> None:
    schema["fields"].append({"name": "tenant", "type": "string"})


def add_a_field_without_a_default_within(schema: Schema) -> None:
    failure_of(schema).append({"name": "cause", "type": ["null", "string"]})


def change_a_type(schema: Schema) -> None:
    fields(schema)["sequence"]["type"] = "string"


def widen_a_type(schema: Schema) -> None:
    fields(schema)["sequence"]["type"] = "double"


def change_a_type_within(schema: Schema) -> None:
    failure_of(schema)[0]["type"] = "bytes"


def change_what_a_number_means(schema: Schema) -> None:
    fields(schema)["time"]["type"]["logicalType"] = "timestamp-micros"


def demand_what_was_optional(schema: Schema) -> None:
    fields(schema)["trace"].update(type="string", default="")


def allow_null_where_none_was(schema: Schema) -> None:
    fields(schema)["run"]["type"] = ["string", "null"]


def drop_a_default(schema: Schema) -> None:
    del fields(schema)["output"]["default"]


def rename_the_record(schema: Schema) -> None:
    schema["name"] = "Event"


def move_to_another_namespace(schema: Schema) -> None:
    schema["namespace"] = "stream_durable.v2"


BREACHES: list[Callable[[Schema], None]] = [
    drop_a_field,
    drop_a_field_within,
    rename_a_field,
    add_a_field_without_a_default,
    add_a_field_without_a_default_within,
    change_a_type,
    widen_a_type,
    change_a_type_within,
    change_what_a_number_means,
    demand_what_was_optional,
    allow_null_where_none_was,
    drop_a_default,
    rename_the_record,
    move_to_another_namespace,
]


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: breach.__name__)
@pytest.mark.parametrize("released", RELEASED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_check_finds(breach: Callable[[Schema], None], released: Path) -> None:
    broken = load(released)
    breach(broken)

    assert breaches(load(released), broken)


@pytest.mark.parametrize(
    "breach",
    [rename_a_field, add_a_field_without_a_default, change_a_type],
    ids=lambda breach: breach.__name__,
)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_a_reader_fails_at(breach: Callable[[Schema], None], data: st.DataObject) -> None:
    released, broken = load(RELEASED[0]), load(RELEASED[0])
    breach(broken)
    value = data.draw(values(released))

    with pytest.raises(SchemaResolutionError):
        carried(value, released, broken)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_field_may_come_with_a_default_and_documentation_change(name: str, data: st.DataObject) -> None:
    released, better = load(SCHEMAS / name), load(SCHEMAS / name)
    better["doc"] = "Better."
    better["fields"].insert(3, {"name": "tenant", "type": ["null", "string"], "default": None})
    failure_of(better).append({"name": "cause", "type": "string", "default": "unknown"})

    assert breaches(released, better) == []
    for writer, reader in ((released, better), (better, released)):
        value = data.draw(values(writer))

        assert carried(value, writer, reader) == expected(value, writer, reader)
