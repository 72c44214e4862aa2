"""Bindings in the notation of authors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, get_args

import msgspec

from stream_durable.core.bindings import (
    ROOTS,
    Bad,
    Becomes,
    Binding,
    BoundAnswer,
    BoundEvent,
    BoundSignal,
    BoundStart,
    Described,
)
from stream_durable.core.definition.about import schema_within_bounds
from stream_durable.core.definition.paths import root_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import NAME, NAME_RULE
from stream_durable.sdk.protobuf import described_files
from stream_durable.sdk.rules import Paths, RuleOptions, check_name, check_path
from stream_durable.sdk.schemas import Schemas
from stream_durable.sdk.topic import Topic
from stream_durable.sdk.untyped import write_untyped
from stream_durable.sdk.workflow import Workflow

#: Longest binding as JSON: all of them are in the memory of each reconciler.
_BYTES_MAX: Final = 100_000

#: What each kind of rule may say.
_OF: Final[Mapping[str, frozenset[str]]] = {
    "start": frozenset({"id", "input"}),
    "event": frozenset({"id", "key", "data"}),
    "signal": frozenset({"id", "run", "data"}),
    "answer": frozenset({"id", "run", "data"}),
}
_COMMON: Final = frozenset({"since", "bad"})


def binding_of(
    app: str, topic: Topic[Any], options: RuleOptions, match: Mapping[str, Any] | None, name: str | None
) -> Binding:
    """Return a checked binding, or raise for impossible options."""
    kinds = [kind for kind in _OF if kind in options]
    if len(kinds) != 1:
        text = f"a binding of topic {topic.name!r} says one of start=, event=, signal= and answer="
        raise RejectedError("contradiction", f"{text}, and this one says {len(kinds)}")
    [kind] = kinds
    target = _target(topic, kind, options)
    named = f"{topic.name}:{target}" if name is None else name
    check_name("a binding", named)
    if strange := options.keys() - _OF[kind] - _COMMON - {kind}:
        text = f"binding {named!r}: {kind}= takes no {sorted(strange)[0]}="
        raise RejectedError("bad_option", f"{text}; it takes {', '.join(sorted(_OF[kind] | _COMMON))}")
    becomes = _becomes(named, kind, target, options)
    made = Binding(
        name=named, app=app, topic=topic.name, encoding=topic.format, becomes=becomes,
        schema=_schema(topic), value=_type(topic),
        match={
            _path(f"binding {named!r}", "match=", path): value
            for path, value in msgspec.json.decode(write_untyped(dict(match or {}))).items()
        },
        since=_since(named, options.get("since", "latest")), bad=_bad(named, options.get("bad", "dead")),
    )  # fmt: skip
    if (size := len(msgspec.json.encode(made))) > _BYTES_MAX:
        text = f"binding {named!r} has {size} bytes as JSON, {_BYTES_MAX} are the most"
        raise RejectedError("too_large", f"{text}: give the topic a smaller type")
    return made


def _schema(topic: Topic[Any]) -> str:
    """Return how values are written, as far as it is declared."""
    if topic.format == "protobuf":
        found = Described(topic.value.DESCRIPTOR.full_name, described_files(topic.value.DESCRIPTOR.file))
        return msgspec.json.encode(found).decode()
    return "" if topic.schema is None else msgspec.json.encode(topic.schema).decode()


def _type(topic: Topic[Any]) -> Any:
    """Return the JSON Schema of values; None: anything, or descriptors say it."""
    if topic.format == "protobuf":
        return None
    return schema_within_bounds(Schemas().of(topic.value, "read").node or None)


def _target(topic: Topic[Any], kind: str, options: RuleOptions) -> str:
    """Return the name of the target."""
    given: Any = options[kind]  # type: ignore[literal-required]  # one of the keys
    if kind == "start":
        if not isinstance(given, Workflow):
            raise RejectedError("bad_workflow", f"start= takes a workflow, not {given!r}")
        return given.name
    if not isinstance(given, str) or not NAME.match(given):
        text = f"binding of topic {topic.name!r}: {str(given)[:128]!r} is no name of {kind}"
        raise RejectedError("bad_name", f"{text}: write {NAME_RULE}")
    return given


def _becomes(named: str, kind: str, target: str, options: RuleOptions) -> Becomes:
    what = f"binding {named!r}"

    def path(option: str, *, needed: bool = False) -> str:
        given: Any = options.get(option, "")
        if given == "" and not needed:
            return ""
        if given == "":
            raise RejectedError("bad_path", f"{what}: {kind}= needs {option}=, the path of the run's id")
        return _path(what, f"{option}=", given)

    identity = path("id")
    if kind == "start":
        return BoundStart(workflow=target, id=identity, input=_paths(what, "input", options.get("input", "")))
    data = _paths(what, "data", options.get("data", ""))
    if kind == "event":
        return BoundEvent(event=target, key=path("key"), data=data, id=identity)
    run = path("run", needed=True)
    if kind == "signal":
        return BoundSignal(signal=target, run=run, data=data, id=identity)
    return BoundAnswer(wait=target, run=run, data=data, id=identity)


def _paths(what: str, option: str, given: Paths) -> str | dict[str, str]:
    if isinstance(given, str):
        return _path(what, f"{option}=", given)
    return {field: _path(what, f"{option}[{field!r}]", path) for field, path in given.items()}


def _path(what: str, option: str, path: object) -> str:
    """Return a path from its root on: one without a root of ours leads into the value."""
    if path == "":
        return "value"
    if isinstance(path, str) and root_of(path) not in ROOTS:
        path = f"value.{path}"
    check_path(what, option, path, ROOTS)
    assert isinstance(path, str)
    return path


def _since(named: str, since: str | datetime) -> int | None:
    if since == "latest":
        return None
    if since == "earliest":
        return 0
    if isinstance(since, datetime) and since.tzinfo is not None and since.timestamp() > 0:
        return round(since.timestamp() * 1_000)
    text = f"binding {named!r}: since= is 'latest', 'earliest' or a datetime with a time zone, not {since!r}"
    raise RejectedError("bad_moment", text)


def _bad(named: str, bad: Bad) -> Bad:
    if bad not in get_args(Bad):
        raise RejectedError("bad_option", f"binding {named!r}: bad= is 'dead', 'skip' or 'stop', not {bad!r}")
    return bad
