"""One record of a topic, as a function of a seed, the topic and a number: valid, damaged or absurd."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from fuzz.corpus import MARKER, Record, valid

BYTES_MAX = 12_000_000
#: Of so many records one is large.
_LARGE_EVERY = 400
_PAYLOADS = ("input", "data", "output")
_CODECS = ("lz4", "zstd", "gzip")

#: One character of every class that somebody has been caught by; from 1 to 4 bytes, and what is none.
_CHARACTERS = (
    "a", "0", "-", "/", "'", '"', "\\", "%", "$", " ", "\t", "\n", "\x00", "\x01", "\x7f", "\x85", "é", "ß",
    "İ", "\u0301", "\u200b", "\u202e", "\ufeff", "\uffff", "字", "ﷺ", "한", "\U0001f600", "\U0010ffff", "𝒳",
)  # fmt: skip
#: Letters of a script each, of 1, 2, 3 and 4 bytes: mixed at random, so that nothing can compress them.
_SCRIPTS = ((0x21, 0x7E), (0x400, 0x52F), (0x4E00, 0x9FFF), (0x1F300, 0x1F64F))
_LENGTHS = (1, 2, 127, 128, 129, 255, 256, 400, 500, 511, 512, 513, 901, 2_704, 10_000, 40_000)

_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, -0.0, 1e308, 10**30, -(10**30), 1 << 31, 1 << 53, (1 << 53) + 1, 1 << 63,
    1 << 64, "", "\x00", "null", "a" * 600, "字" * 400, [], [[]], {}, {"": None}, {"$blob": "x"},
    {"$blob": [0, 1, 2]}, ["a", {"b": [1]}], "2024-01-01", "inf", [None] * 300,
)  # fmt: skip


def record(seed: int, topic: str, number: int, largest: int = BYTES_MAX) -> Record:
    """Return record `number` of this topic; what it is follows from the arguments alone."""
    rng = Random(f"{seed}/{topic}/{number}")
    made = valid(topic, rng)
    if rng.randrange(_LARGE_EVERY) == 0 and largest:
        made = _large(made, rng, largest)
    else:
        for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 3))):
            made = rng.choice(_MUTATIONS)(made, rng)
    # What takes a newer format is meant to hold its partition, until an operator or a release comes.
    value = made.value
    return made._replace(value=value.replace(b"format", b"f0rmat")) if value and topic == "inbox" else made


def _large(made: Record, rng: Random, largest: int) -> Record:
    """Make a payload large: small while it is compressed, or so large that a topic just takes it."""
    fields = _fields(made)
    codec = rng.choice((*_CODECS, "none"))
    size = rng.choice((80_000, 400_000, 899_000, 940_000)) if codec == "none" else rng.randrange(1, largest)
    letter = "x" if codec != "none" else rng.choice(("x", "[", "字", "\x00"))
    names = [*fields, *_PAYLOADS] if fields is not None else [*_PAYLOADS]
    name = rng.choice(names)
    # A text that is not in the place of a payload is not one: names and types may be told.
    text = (MARKER if name in _PAYLOADS else "") + letter * size
    if fields is None:
        return made._replace(value=(made.value or b"") + text.encode()[:size], codec=codec)
    fields[name] = text
    return made._replace(value=json.dumps(fields, ensure_ascii=False).encode(), codec=codec)


def _flipped(made: Record, rng: Random) -> Record:
    if not made.value:
        return made
    data = bytearray(made.value)
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return made._replace(value=bytes(data))


def _cut(made: Record, rng: Random) -> Record:
    data = made.value or b""
    return made._replace(value=data[: rng.randint(0, len(data))])


def _spliced(made: Record, rng: Random) -> Record:
    """Put something into the middle: what is not text, half a number, more of the same."""
    data = made.value or b""
    at = rng.randint(0, len(data))
    other = rng.choice((
        b"\xff\xfe", b"\x00", b"\\u0000", b"\\ud800", b"\\udfff\\ud800", b'"', b"{", b"}", b"[" * 2_000,
        b"1e999", b"NaN", b"-", b"\xc3\x01", b"\xef\xbb\xbf", data[at : at + 40],
        rng.randbytes(rng.randrange(1, 30)), b'{"a":' * 2_000,
    ))  # fmt: skip
    return made._replace(value=data[:at] + other + data[at + rng.choice((0, 0, 1, 5)) :])


def _swapped(made: Record, rng: Random) -> Record:
    """Give a field, at any depth, a value of another kind."""

    def change(holder: Any, name: Any) -> None:
        holder[name] = rng.choice(_ODD)

    return _somewhere(made, rng, change)


def _renamed(made: Record, rng: Random) -> Record:
    """Give a text, at any depth, other characters and another length."""

    def change(holder: Any, name: Any) -> None:
        if isinstance(holder[name], str):
            holder[name] = _text(rng)

    return _somewhere(made, rng, change)


def _dropped(made: Record, rng: Random) -> Record:
    fields = _fields(made)
    if not fields:
        return made
    del fields[rng.choice(list(fields))]
    return _with(made, fields)


def _added(made: Record, rng: Random) -> Record:
    fields = _fields(made)
    if fields is None:
        return made
    fields[rng.choice(("type", "signal", "specversion", "start", "answer", "later", "", "kind"))] = (
        rng.choice(_ODD)
    )
    return _with(made, fields)


def _twice(made: Record, rng: Random) -> Record:
    """Name a field twice, with two values."""
    value = made.value or b""
    if not value.startswith(b"{") or len(value) < 3:
        return made
    name = rng.choice((b"type", b"run", b"id", b"attempt", b"key", b"name"))
    return made._replace(value=b'{"%b":%b,' % (name, json.dumps(rng.choice(_ODD)).encode()) + value[1:])


def _nested(made: Record, rng: Random) -> Record:
    """Nest deeply, in a field or as a whole."""
    depth = rng.choice((90, 101, 900, 1_100, 50_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    deep = opening * depth + b"1" + closing * depth
    value = made.value or b""
    if value.endswith(b"}") and rng.random() < 0.8:
        name = rng.choice((b"input", b"data", b"output", b"nodes", b"later", b"metadata"))
        return made._replace(value=value[:-1] + b',"%b":%b}' % (name, deep))
    return made._replace(value=deep)


def _identified(made: Record, rng: Random) -> Record:
    """Call the entity otherwise, and the record's key as well: a valid record about a strange name."""
    fields = _fields(made)
    kind = next((k for k in ("run", "channel", "gate", "id", "key") if fields and k in fields), None)
    text = _text(rng)
    if fields is None or kind is None:
        return made._replace(key=text.encode("utf-8", "surrogatepass"))
    if kind == "channel" and rng.random() < 0.8:
        text = f"payment/{text}"
    fields[kind] = text
    for other in ("id", "step", "wait", "run", "message_id"):
        if other in fields and other != kind and rng.random() < 0.5:
            fields[other] = _text(rng)
    return _with(made._replace(key=text.encode("utf-8", "surrogatepass")), fields)


def _wide(made: Record, rng: Random) -> Record:
    """Give all its ids at once the most characters, of the most bytes: what keys of tables are made of."""
    fields = _fields(made)
    if fields is None:
        return made
    first, last = rng.choice(_SCRIPTS)
    for name in fields.keys() & {"run", "id", "key", "channel", "gate", "wait", "step", "message_id"}:
        if isinstance(fields[name], str):
            fields[name] = "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(400, 512)))
    if "channel" in fields:
        fields["channel"] = f"payment/{fields['channel']}"[:512]
    if "type" in fields and "key" in fields:
        fields["message_id"] = fields["key"]
    key = next((fields[k] for k in ("run", "channel", "gate", "key", "id") if k in fields), "x")
    return _with(made._replace(key=str(key).encode("utf-8", "surrogatepass")), fields)


def _keyed(made: Record, rng: Random) -> Record:
    key = made.key or b""
    return made._replace(key=rng.choice((None, b"", b"\xff\xfe", key + b"x", key[:-1], _text(rng).encode())))


def _moved(made: Record, rng: Random) -> Record:
    return made._replace(partition=rng.randrange(64))


def _nothing(made: Record, rng: Random) -> Record:
    return made._replace(value=rng.choice((None, b"")))


def _headed(made: Record, rng: Random) -> Record:
    """Add headers, once or twice, with anything in them."""
    names = (
        "traceparent", "ce_type", "ce_id", "ce_source", "ce_subject", "ce_specversion", "ce_time",
        "content-type", "sd_code", "sd_topic", "sd_offset", "sd_partition", "sd_time", "x" * 300, "", "字",
    )  # fmt: skip
    values = (None, b"", b"1.0", b"\xff\xfe", _text(rng).encode(), b"9" * 40, b"-1", b"x" * 70_000, b"a\x00b")
    name, count = rng.choice(names), rng.choice((1, 2, 2, 50))
    return made._replace(headers=[*made.headers, *((name, rng.choice(values)) for _ in range(count))])


def _other(made: Record, rng: Random) -> Record:
    """Put what another topic takes here."""
    topic = rng.choice(("inbox", "events", "commands.default", "steps", "runs", "definitions"))
    return valid(topic, rng)._replace(key=made.key)


def _text(rng: Random) -> str:
    length = rng.choice(_LENGTHS)
    if rng.random() < 0.4:
        first, last = rng.choice(_SCRIPTS)
        return "".join(chr(rng.randint(first, last)) for _ in range(min(length, 1_000)))
    characters = rng.choices(_CHARACTERS, k=rng.choice((1, 1, 2, 4)))
    return ("".join(characters) * length)[:length]


def _fields(made: Record) -> dict[str, Any] | None:
    try:
        fields = json.loads(made.value or b"")
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _with(made: Record, fields: dict[str, Any]) -> Record:
    text = json.dumps(fields, ensure_ascii=False)
    return made._replace(value=text.encode("utf-8", "surrogatepass"))


def _somewhere(made: Record, rng: Random, change: Callable[[Any, Any], None]) -> Record:
    fields = _fields(made)
    if not fields:
        return made
    places: list[tuple[Any, Any]] = []
    open_: list[Any] = [fields]
    while open_ and len(places) < 500:
        holder = open_.pop()
        names = range(len(holder)) if isinstance(holder, list) else list(holder)
        for name in names:
            places.append((holder, name))
            if isinstance(holder[name], dict | list):
                open_.append(holder[name])
    change(*rng.choice(places))
    return _with(made, fields)


_MUTATIONS: tuple[Callable[[Record, Random], Record], ...] = (
    _flipped, _cut, _spliced, _swapped, _swapped, _renamed, _renamed, _dropped, _added, _twice, _nested,
    _identified, _identified, _wide, _keyed, _moved, _nothing, _headed, _other,
)  # fmt: skip
