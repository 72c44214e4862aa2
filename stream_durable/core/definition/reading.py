"""Registers and reads definitions at the border.

Registration validates, reading does not: a stricter later release must not lose the definitions of running
runs. A definition of a newer format is known by name only.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from stream_durable.core.definition.about import NOTHING, About
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import (
    Definition,
    decode_definition,
    encode_definition,
    fingerprint_of,
)
from stream_durable.core.definition.validate import validate
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import FORMAT, Format, is_made_up

_REASON_LENGTH_MAX = 300


class Newer(NamedTuple):
    """A definition in a newer format than this release knows."""

    name: str
    fingerprint: str
    format: int


class _Stamp(msgspec.Struct):
    """The fields common to definitions of all formats."""

    name: str
    format: Format = 1


_stamp = msgspec.json.Decoder(_Stamp).decode


def definition_key(name: str, fingerprint: str) -> bytes:
    """Return the key of a published definition."""
    return f"{name}/{fingerprint}".encode()


def admitted(definition: Definition) -> bytes:
    """Return a definition in published form; refuse faulty or unreadable definitions."""
    if faults := validate(definition):
        raise RejectedError("bad_definition", faults[0].message)
    data = encode_definition(definition)
    try:
        decode_definition(data)
    except msgspec.DecodeError as error:
        raise RejectedError("bad_definition", f"workflow {definition.name!r}: {error}") from error
    return data


def read_definition(key: bytes | None, value: bytes, knows: int = FORMAT) -> Graph | Newer:
    """Decode a record of the definitions topic, or refuse it.

    `knows` is the newest format accepted.
    """
    try:
        return _read(key, value, knows)
    except RejectedError:
        raise
    except Exception as error:
        # Any record may fail to decode, in unforeseen ways.
        reason = f"it is no definition: {type(error).__name__}: {error}"[:_REASON_LENGTH_MAX]
        raise RejectedError("bad_definition", reason) from error


def _read(key: bytes | None, value: bytes, knows: int) -> Graph | Newer:
    stamp, fingerprint = _stamp(value), fingerprint_of(value)
    if key != definition_key(stamp.name, fingerprint):
        raise RejectedError("wrong_key", f"its key is not its name and its fingerprint, {fingerprint}")
    if is_made_up(stamp.format):
        raise RejectedError("bad_definition", f"it has format {stamp.format}: no release is so far ahead")
    if stamp.format > knows:
        return Newer(stamp.name, fingerprint, stamp.format)
    return Graph(decode_definition(value), fingerprint)


class Known:
    """All definitions read so far."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.graphs: dict[str, Graph] = {}
        #: Definitions this release cannot fold, by fingerprint.
        self.newer: dict[str, Newer] = {}
        #: The fingerprint registered last, by workflow, in any format.
        self.current: dict[str, str] = {}
        self._abouts: dict[str, About] = {}
        #: When definitions were registered last, in milliseconds, by fingerprint.
        self.registered: dict[str, int] = {}

    def about(self, fingerprint: str) -> About:
        """Return the latest descriptions and schemas of a definition."""
        return self._abouts.get(fingerprint, NOTHING)

    def lacks(self, fingerprint: str, about: About) -> bool:
        """Return whether a definition, or its latest descriptions, are not known yet."""
        return fingerprint not in self.graphs or about not in (NOTHING, self.about(fingerprint))

    def keep(self, found: Graph | Newer, about: About = NOTHING, at: int | None = None) -> None:
        """Store a definition and descriptions as the latest of their name; `at` is the record's time."""
        if at is not None:
            self.registered[found.fingerprint] = at
        self._abouts[found.fingerprint] = about
        if isinstance(found, Newer):
            self.newer[found.fingerprint] = found
        else:
            self.graphs[found.fingerprint] = found
        self.current[found.name] = found.fingerprint

    def lacking(self, fingerprint: str) -> str:
        """Return the reason for a missing graph, with the remedy."""
        if (newer := self.newer.get(fingerprint)) is not None:
            return (
                f"definition {fingerprint[:64]} of workflow {newer.name[:128]!r} has format {newer.format}, "
                "which this release does not know: a newer one has to take over"
            )
        return f"definition {fingerprint[:64]} is not on the definitions topic: start a worker that has it"
