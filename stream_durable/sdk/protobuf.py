"""Types of Protobuf in the declarations of topics: a generated class, or the name in a set of descriptors."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from stream_durable.sdk.errors import Problem
from stream_durable.sdk.handover import Write
from stream_durable.sdk.plain_json import UnfitError


class NoMessageError(Exception):
    """No message type can be made of a declaration; the text gives the reason."""


def message_class(value: Any, schema: Any) -> Any:
    """Return the class of messages that a topic declares, or raise `NoMessageError`."""
    if schema is None:
        if not hasattr(value, "DESCRIPTOR") or not hasattr(value, "SerializeToString"):
            text = "value= is a class of messages that protoc has generated, or the full name of a message in"
            raise NoMessageError(f"{text} schema=, a FileDescriptorSet; it is not {value!r}")
        return value
    if not isinstance(value, str):
        text = "with a FileDescriptorSet as schema=, value= is the full name of a message in it"
        raise NoMessageError(f"{text}, such as 'shop.OrderPlaced', not {value!r}")
    try:
        from google.protobuf import descriptor_pool  # noqa: PLC0415 - an extra
        from google.protobuf.message_factory import GetMessageClass  # noqa: PLC0415
    except ImportError as error:
        text = f"the library for Protobuf is not installed ({error})"
        raise NoMessageError(f"{text}: install stream-durable[protobuf]") from error
    pool = descriptor_pool.DescriptorPool()
    files = _parsed(schema)
    _add_all(pool, files)
    try:
        return GetMessageClass(pool.FindMessageTypeByName(value))
    except KeyError:
        names = [f"{file.package}.{each.name}".strip(".") for file in files for each in file.message_type]
        known = ", ".join(names[:20]) or "none"
        raise NoMessageError(f"schema= has no message {value!r}; it has {known}") from None


def writer_of(kind: Any, *, by_name: bool) -> Write:
    """Return a writer for messages of a class; `by_name`: for dicts and messages of the same name, too."""
    full_name = kind.DESCRIPTOR.full_name

    def write(message: Any) -> bytes:
        if by_name and isinstance(message, Mapping):
            message = _from_dict(kind, message)
        elif not isinstance(message, kind) and not (by_name and _name_of(message) == full_name):
            wanted = f"a dict, or a message {full_name}" if by_name else kind.__name__
            raise UnfitError(Problem("", f"it is {type(message).__name__}, not {wanted}"))
        if not message.IsInitialized():
            raise UnfitError(Problem(", ".join(message.FindInitializationErrors()), "Field required"))
        return bytes(message.SerializeToString(deterministic=True))

    return write


def described_files(file: Any) -> str:
    """Return a file of Protobuf after all imported files, in base64."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet  # noqa: PLC0415 - an extra

    found: dict[str, Any] = {}

    def add(one: Any) -> None:
        for other in one.dependencies:
            add(other)
        found.setdefault(one.name, one)

    add(file)
    files = FileDescriptorSet()
    for one in found.values():
        one.CopyToProto(files.file.add())
    return b64encode(files.SerializeToString(deterministic=True)).decode()


def _name_of(message: Any) -> str | None:
    return getattr(getattr(message, "DESCRIPTOR", None), "full_name", None)


def _from_dict(kind: Any, given: Mapping[str, Any]) -> Any:
    from google.protobuf import json_format  # noqa: PLC0415 - an extra

    try:
        return json_format.ParseDict(dict(given), kind(), descriptor_pool=kind.DESCRIPTOR.file.pool)
    except json_format.Error as error:
        # Its text shows the value.
        text = str(error)
        path = re.findall(r"Failed to parse (\w+) field", text)
        strange = re.search(r"no field named \"(.+?)\"", text)
        why = "a value is not of the type that is declared for it"
        if strange is not None:
            path, why = [*path, strange[1]], "there is no such field"
        raise UnfitError(Problem(".".join(path), why)) from error


def _parsed(schema: Any) -> list[Any]:
    """Return the files of a set of descriptors, given as such or in bytes."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet  # noqa: PLC0415 - an extra
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    try:
        data = schema if isinstance(schema, bytes) else schema.SerializeToString()
        return list(FileDescriptorSet.FromString(data).file)
    except (DecodeError, AttributeError, TypeError) as error:
        text = "schema= is a FileDescriptorSet, or its bytes, as `protoc --include_imports"
        raise NoMessageError(f"{text} --descriptor_set_out=FILE` writes them: {error}") from None


def _add_all(pool: Any, files: list[Any]) -> None:
    """Add files to a pool, each behind what it imports."""
    left = {file.name: file for file in files}

    def add(file: Any) -> None:
        for name in file.dependency:
            if (other := left.pop(name, None)) is not None:
                add(other)
            else:
                _add_known(pool, name, file.name)
        try:
            pool.Add(file)
        except TypeError as error:
            raise NoMessageError(f"schema= cannot be used: {error}") from None

    while left:
        add(left.pop(next(iter(left))))


def _add_known(pool: Any, name: str, wanted_by: str) -> None:
    """Provide an imported file: already added, or from Google's library."""
    from google.protobuf import descriptor_pool  # noqa: PLC0415 - an extra

    try:
        pool.FindFileByName(name)
    except KeyError:
        try:
            if not name.startswith("google/protobuf/"):
                raise KeyError(name)
            import_module(f"{name.removesuffix('.proto').replace('/', '.')}_pb2")
            pool.AddSerializedFile(descriptor_pool.Default().FindFileByName(name).serialized_pb)
        except (ImportError, KeyError):
            text = f"{wanted_by} imports {name}, which schema= has not"
            raise NoMessageError(f"{text}: call protoc with --include_imports") from None
