"""Typed values to JSON and back, into a step and out of a step.

The codec of a type is chosen once, when a workflow is defined. Plain JSON types (texts, numbers, dicts and
lists of them, anything unannotated) are read and checked by msgspec, strictly: a `str` in place of an `int`
is refused. All other types, models first, go through pydantic: under the names of fields, so a path such as
`charge.amount` uses the author's names; aliases are accepted on reading. A `SecretStr` is written masked, as
pydantic does: secrets do not belong on a log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Never, NoReturn, Union, get_args, get_origin

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError, SchemaError

from stream_durable.core.words import without_prefix
from stream_durable.sdk.errors import Problem
from stream_durable.sdk.plain_json import NotJsonError, UnfitError, write_plain

#: What reading or writing a value raises when the value does not fit; `problems` explains it.
DOES_NOT_FIT = (ValueError, TypeError, RecursionError)

Read = Callable[[bytes], Any]
Write = Callable[[Any], bytes]


class NoCodecError(Exception):
    """No JSON can represent this type; the text gives the reason."""


class Codec:
    """Reads and writes values of one type as JSON."""

    __slots__ = ("is_strict", "read", "write")

    def __init__(self, read: Read, write: Write, *, is_strict: bool = False) -> None:
        self.read = read
        self.write = write
        #: Whether it takes no text for a number, and the like.
        self.is_strict = is_strict


class Codecs:
    """The codecs of one workflow, prepared once per type."""

    def __init__(self) -> None:
        self._known: list[tuple[Any, Codec]] = []

    def of(self, hint: Any) -> Codec:
        """Return the codec of an annotation, or raise `NoCodecError`."""
        for known, codec in self._known:
            if known is hint or (type(known) is type(hint) and known == hint):
                return codec
        codec = _codec(hint)
        self._known.append((hint, codec))
        return codec


def problems(error: Exception) -> list[Problem]:
    """Return a value's problems, field by field, without content of the value."""
    if isinstance(error, ValidationError):
        found = error.errors(include_input=False, include_url=False, include_context=False)
        return [Problem(".".join(map(str, each["loc"])), without_prefix(each["msg"])) for each in found]
    if isinstance(error, UnfitError):
        return [error.problem]
    if isinstance(error, msgspec.MsgspecError):
        text, _, path = str(error).partition(" - at ")
        return [Problem(path.strip("`").removeprefix("$").removeprefix("."), text)]
    if isinstance(error, PydanticSerializationError):
        # Its text shows the value.
        field = re.search(r"field_name='(\w+)'", str(error))
        return [Problem(field[1] if field else "", "a value is not of the type that is declared for it")]
    if isinstance(error, RecursionError):
        return [Problem("", "it contains itself, or is nested too deep")]
    return [Problem("", f"{type(error).__name__} while it was converted")]


def _codec(hint: Any) -> Codec:
    if hint in (NoReturn, Never):
        hint = Any
    plain = _plain(hint)
    if plain is not _NOT_PLAIN:
        try:
            return _plain_codec(plain)
        except TypeError:
            pass  # a union that msgspec cannot tell apart; pydantic can
    return _pydantic_codec(hint)


_NOT_PLAIN = object()
_PLAIN = (Any, NoneType, bool, int, float, str, dict, list)
#: Annotations that say nothing of the contents: a look at the class is enough.
_ROOTS: tuple[tuple[Any, type], ...] = ((dict, dict), (dict[str, Any], dict), (list, list), (list[Any], list))


def _plain(hint: Any) -> Any:
    """Return the type for reading with msgspec, or `_NOT_PLAIN`."""
    if hint is None:
        return NoneType
    if hint is object:
        return Any
    if any(hint is each for each in _PLAIN):
        return hint
    origin, arguments = get_origin(hint), [_plain(each) for each in get_args(hint)]
    if any(each is _NOT_PLAIN for each in arguments):
        return _NOT_PLAIN
    if origin is dict and arguments[0] in (str, Any):
        return dict[str, arguments[1]]  # type: ignore[valid-type]  # made at run time
    if origin is list:
        return list[arguments[0]]  # type: ignore[valid-type]  # made at run time
    if origin in (Union, UnionType):
        return Union[tuple(arguments)]  # noqa: UP007 - made at run time
    return _NOT_PLAIN


def _plain_codec(hint: Any) -> Codec:
    read = msgspec.json.Decoder(hint).decode
    if hint is Any:
        return Codec(read, write_plain, is_strict=True)
    for root, kind in _ROOTS:
        if hint == root:
            return Codec(read, partial(_write_root, kind), is_strict=True)
    return Codec(read, partial(_write_checked, read), is_strict=True)


def _write_root(kind: type, value: Any) -> bytes:
    if not isinstance(value, kind):
        raise NotJsonError(Problem("", f"Expected `{kind.__name__}`, got `{type(value).__name__}`"))
    return write_plain(value)


def _write_checked(read: Read, value: Any) -> bytes:
    # Read back, as the next step will read it.
    data = write_plain(value)
    read(data)
    return data


def _pydantic_codec(hint: Any) -> Codec:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
        if not adapter.pydantic_complete:
            adapter.rebuild(raise_errors=True)
    except (PydanticUserError, SchemaError, TypeError, NameError) as error:
        # The rest is advice on pydantic's own options, of which none helps here.
        raise NoCodecError(re.split(r"\. |\n", str(error), maxsplit=1)[0]) from error
    return Codec(partial(_read_typed, adapter.validate_json), partial(_write_typed, adapter))


def _read_typed(validate: Callable[..., Any], data: bytes) -> Any:
    return validate(bytes(data), by_alias=True, by_name=True)


def _write_typed(adapter: TypeAdapter[Any], value: Any) -> bytes:
    fitting = adapter.validate_python(value, by_alias=True, by_name=True)
    # A round trip leaves out what is computed, which a model would refuse to read.
    data = adapter.dump_json(fitting, round_trip=True, warnings="error")
    # NaN is written as null, or as no JSON at all; a look at the values decides, and is seldom needed.
    if b"null" in data or b"NaN" in data or b"Infinity" in data:
        _refuse_not_finite(adapter.dump_python(fitting, round_trip=True), ())
    return data


def _refuse_not_finite(value: Any, path: tuple[str, ...]) -> None:
    if isinstance(value, float):
        if not isfinite(value):
            raise NotJsonError(Problem(".".join(path), f"{value} is not a number in JSON"))
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_not_finite(item, (*path, str(key)))
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for i, item in enumerate(value):
            _refuse_not_finite(item, (*path, str(i)))
