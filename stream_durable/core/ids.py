"""Derivation and syntax of ids. Nothing here is random."""

from __future__ import annotations

import re
from hashlib import blake2b
from struct import unpack_from

from stream_durable.core.names import defined_name

#: Longest id or key, in bytes of UTF-8: it is a Kafka key, a line on a screen, and part of an index key of
#: the database. Such a key has at most 2,704 bytes, and some are made of three ids.
ID_BYTES_MAX = 512
#: This many characters always fit: UTF-8 has at most four bytes for each.
_ALWAYS_FITS = ID_BYTES_MAX // 4

#: Longest JSON value passed as a whole: an input, an output or the data of an event. With the envelope it
#: still fits into a record of a broker with defaults.
PAYLOAD_BYTES_MAX = 900_000

#: Longest JSON of an attempt's values in all, for example a list of ten thousand outputs. The command topics
#: take records this large.
HANDOVER_BYTES_MAX = 4_000_000

#: Largest command in all: what is handed over, names and metadata included. Its topic takes more.
COMMAND_BYTES_MAX = 4_500_000

#: Largest message to an entity: what is larger on the inbox is refused unread.
MESSAGE_BYTES_MAX = 1_000_000

#: Names of workflows, steps, events and signals. No slash, so that `name/key` splits in one way.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:\-]{0,127}\Z")

NAME_RULE = "letters, digits and _ . : - only, beginning with a letter or _, at most 128"

#: Names of queues; a topic's name takes no more, and leaves room for the rest of it.
QUEUE = re.compile(r"[A-Za-z0-9_.\-]{1,100}\Z(?<!\.first)(?<!\.high)(?<!\.low)")
QUEUE_RULE = "letters, digits and _ . - only, at most 100, and not .first, .high or .low at the end"


def byte_length(text: str) -> int:
    """Return how many bytes a text takes; what is not valid Unicode is for others to refuse."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def fits(text: str) -> bool:
    """Say whether a text is short enough for an id. Encodes nothing but long texts that are not ASCII."""
    return len(text) <= _ALWAYS_FITS or byte_length(text) <= ID_BYTES_MAX


def clipped(text: str, bytes_max: int = ID_BYTES_MAX) -> str:
    """Return as much of the beginning of a text as fits, in whole characters."""
    if len(text) * 4 <= bytes_max:
        return text
    return text.encode()[:bytes_max].decode(errors="ignore")


#: Separates the ids of parent and child: no id from outside may contain it.
CHILD_MARK = "//"
RESERVED_RULE = f"{CHILD_MARK!r} is kept for the ids of runs that other runs start: take another separator"


def child_id(run: str, of: str) -> str:
    """Return the id of a child run; `of` has step, attempt and round."""
    key = f"{run}{CHILD_MARK}{of}"
    if fits(key):
        return key
    digest = blake2b(key.encode(), digest_size=16).hexdigest()
    return f"{clipped(run, ID_BYTES_MAX - 40)}{CHILD_MARK}{digest}"


def shortened(step: str) -> str:
    """Return a short name for added steps: the defining step, and a digest."""
    digest = blake2b(step.encode(), digest_size=16).hexdigest()
    return f"{defined_name(step)}~{digest}"


def roll_id(app: str) -> str:
    """Return the id of the roll of an app's schedules; no schedule can have it."""
    return f"{app}{CHILD_MARK}"


def is_derived(run: str) -> bool:
    """Return whether an id can only belong to a child run."""
    return CHILD_MARK in run


def channel_id(event: str, key: str) -> str:
    """Return the id of the channel for events of this name and key."""
    return f"{event}/{key}"


def later_id(message: str, of: str, identity: str) -> str:
    """Return the id of a message for later: `signal` or `event`, to whom, and the message's own id."""
    key = f"{message}:{of}#{identity}"
    return key if fits(key) else f"{message}:{blake2b(key.encode(), digest_size=20).hexdigest()}"


def partition_of(key: str, partition_count: int) -> int:
    """Return the partition chosen by Kafka's own murmur2 partitioner for a key.

    Every producer of ours uses the same partitioner; the engine computes the partition again at the birth of
    an entity, so that a misplaced record of a foreign producer cannot split the entity.
    """
    return (_murmur2(key.encode()) & 0x7FFFFFFF) % partition_count


_WORDS = [f"<{n}I" for n in range(64)]


def _murmur2(data: bytes) -> int:
    words = len(data) >> 2
    h = 0x9747B28C ^ len(data)
    for k in unpack_from(_WORDS[words] if words < 64 else f"<{words}I", data):
        k = k * 0x5BD1E995 & 0xFFFFFFFF  # noqa: PLW2901
        h = (h * 0x5BD1E995 ^ (k ^ k >> 24) * 0x5BD1E995) & 0xFFFFFFFF
    if rest := data[words << 2 :]:
        h = (h ^ int.from_bytes(rest, "little")) * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return h ^ h >> 15


def fraction(*parts: str) -> float:
    """Return a number in [0, 1) depending only on the parts: the same on replay."""
    digest = blake2b("\x00".join(parts).encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / (1 << 56)
