"""Declarations of apps on the definitions topic beside workflows: rules for events, and for topics of others.

A record for each rule, for each rule turned off, for the latest order of each act to a rule, for the latest
skipped record of a binding in each partition, for each app with the names of all rules, for the limits of
all keys of a gate, and for dead records redriven together. So a rule stays off over deployments, and a rule
no longer declared goes on and is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, Literal, TypeVar, get_args

import msgspec
from msgspec.structs import replace

from stream_durable.core.bindings import Binding, Skip
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import FORMAT, Format
from stream_durable.core.gate.limits import KeysChange
from stream_durable.core.orders import Order, Orders
from stream_durable.core.schedule.state import Off
from stream_durable.core.triggers import Trigger

#: Separates the parts of a key; no definition's key has it.
_MARK: Final = "//"
_OFF: Final = f"{_MARK}off"
_ORDER: Final = f"{_MARK}order{_MARK}"
_SKIP: Final = f"{_MARK}skip{_MARK}"
_ROLL: Final = f"roll{_MARK}"
_GATE: Final = f"gate{_MARK}"
_RECORD: Final = f"record{_MARK}"

K = TypeVar("K")
V = TypeVar("V")
#: What a person or a program orders a rule to do.
RuleAct = Literal["pause", "resume", "replay", "skip"]
Rule = Trigger | Binding
#: A key and a value of the definitions topic; None: a tombstone.
Declaration = tuple[bytes, bytes | None]


class Roll(msgspec.Struct, frozen=True):
    """The keys of all rules of an app."""

    rules: tuple[str, ...] = ()


class Redrive(msgspec.Struct, frozen=True):
    """Dead records given again together, by their ids."""

    order: Order
    ids: tuple[str, ...]


class _Stamp(msgspec.Struct):
    format: Format = 1


_encode = msgspec.json.Encoder(order="sorted").encode
_stamp = msgspec.json.Decoder(_Stamp).decode
_rule = msgspec.json.Decoder(Rule).decode
_off = msgspec.json.Decoder(Off).decode
_order = msgspec.json.Decoder(Order).decode
_skip = msgspec.json.Decoder(Skip).decode
_roll = msgspec.json.Decoder(Roll).decode
_keys = msgspec.json.Decoder(KeysChange).decode
_redrive = msgspec.json.Decoder(Redrive).decode


def is_declaration(key: bytes | None) -> bool:
    """Return whether a record of the definitions topic is no definition."""
    return key is not None and _MARK.encode() in key


def rule_key(kind: str, name: str) -> str:
    """Return the key of a rule."""
    return f"{kind}{_MARK}{name}"


class Declared:
    """All declarations read so far."""

    __slots__ = ("_rolls", "by_event", "gates", "off", "orders", "redriven", "rules", "skips")

    def __init__(self) -> None:
        """Know nothing yet."""
        #: By key.
        self.rules: dict[str, Rule] = {}
        self.off: dict[str, Off] = {}
        #: By key: the latest order of each act.
        self.orders: dict[str, Orders] = {}
        #: By key of a binding, and by partition.
        self.skips: dict[str, dict[int, Skip]] = {}
        #: By name: what was changed last for all keys of a gate.
        self.gates: dict[str, KeysChange] = {}
        #: By id of a dead record: who redrove it last, when and why.
        self.redriven: dict[str, Order] = {}
        self._rolls: dict[str, Roll] = {}
        #: The triggers that are on, by event.
        self.by_event: dict[str, list[Trigger]] = {}

    def keep(self, key: bytes, value: bytes | None, knows: int = FORMAT) -> None:
        """Take in a record; raise for one that cannot be read."""
        try:
            text = key.decode()
            if not text.startswith(_RECORD):
                self._keep(text, value, knows)
            elif value is not None:
                found = _redrive(value)
                self.redriven.update(dict.fromkeys(found.ids, found.order))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise RejectedError("bad_declaration", f"it is no declaration: {error}"[:300]) from error

    def _keep(self, key: str, value: bytes | None, knows: int) -> None:
        # Others read meanwhile: what they hold is replaced, and never changed.
        if key.startswith(_ROLL):
            self._rolls = _with(self._rolls, key.removeprefix(_ROLL), None if value is None else _roll(value))
            return
        if key.startswith(_GATE):
            self.gates = _with(self.gates, key.removeprefix(_GATE), None if value is None else _keys(value))
            return
        if _ORDER in key:
            of, _, act = key.partition(_ORDER)
            orders = _with(self.orders.get(of, {}), act, None if value is None else _order(value))
            self.orders = _with(self.orders, of, orders or None)
            return
        if _SKIP in key:
            of, _, partition = key.partition(_SKIP)
            skips = _with(self.skips.get(of, {}), int(partition), None if value is None else _skip(value))
            self.skips = _with(self.skips, of, skips or None)
            return
        if key.endswith(_OFF):
            self.off = _with(self.off, key.removesuffix(_OFF), None if value is None else _off(value))
        else:
            if value is not None and (found := _stamp(value).format) > knows:
                raise RejectedError("newer_format", f"it has format {found}: a newer release has to read it")
            self.rules = _with(self.rules, key, None if value is None else _rule(value))
        by_event: dict[str, list[Trigger]] = {}
        for of, rule in sorted(self.rules.items()):
            if isinstance(rule, Trigger) and of not in self.off:
                by_event.setdefault(rule.event, []).append(rule)
        self.by_event = by_event

    def is_undeclared(self, key: str) -> bool:
        """Return whether the app of a rule has the rule no longer."""
        roll = self._rolls.get(self.rules[key].app)
        return roll is not None and key not in roll.rules

    def takes(self, event: str) -> bool:
        """Return whether a trigger takes events of a name, on or off."""
        return any(isinstance(rule, Trigger) and rule.event == event for rule in self.rules.values())

    def bindings(self) -> dict[str, Binding]:
        """Return all bindings by key, on or off."""
        return {key: rule for key, rule in self.rules.items() if isinstance(rule, Binding)}

    def lacking(self, app: str, rules: Mapping[str, Rule], now: int) -> list[Declaration]:
        """Return the new records for the rules of an app declared at a moment."""
        dated = {key: self._dated(key, rule, now) for key, rule in rules.items()}
        made: list[Declaration] = [
            (key.encode(), _encode(rule)) for key, rule in dated.items() if self.rules.get(key) != rule
        ]
        roll = Roll(tuple(sorted(rules)))
        if self._rolls.get(app, Roll()) != roll:
            made.append((f"{_ROLL}{app}".encode(), _encode(roll)))
        return made

    def _dated(self, key: str, rule: Rule, now: int) -> Rule:
        """Return a rule with the moment of the first declaration: the beginning of a binding's reading."""
        if not isinstance(rule, Binding):
            return rule
        known = self.rules.get(key)
        if isinstance(known, Binding) and known.topic == rule.topic:
            now = known.declared
        return replace(rule, declared=now)


def turned_off(key: str, off: Off) -> Declaration:
    """Return the record for turning a rule off."""
    return f"{key}{_OFF}".encode(), _encode(off)


def turned_on(key: str) -> Declaration:
    """Return the record for turning a rule on."""
    return f"{key}{_OFF}".encode(), None


def ordered(key: str, act: RuleAct, order: Order) -> Declaration:
    """Return the record of an order to a rule."""
    return f"{key}{_ORDER}{act}".encode(), _encode(order)


def skipped(key: str, partition: int, skip: Skip) -> Declaration:
    """Return the record for letting a binding go past a record of a topic."""
    return f"{key}{_SKIP}{partition}".encode(), _encode(skip)


def redriven(ids: Sequence[str], order: Order) -> Declaration:
    """Return the record of dead records given again together."""
    value = _encode(Redrive(order, tuple(ids)))
    # By its content: what others gave again stays.
    return f"{_RECORD}{sha256(value).hexdigest()[:32]}".encode(), value


def changed_keys(gate: str, keys: KeysChange) -> Declaration:
    """Return the record for changing, or resetting, the limits of all keys of a gate."""
    return f"{_GATE}{gate}".encode(), _encode(keys)


def forgotten(key: str, partitions: Iterable[int]) -> list[Declaration]:
    """Return the records for deleting a rule, with skips in these partitions."""
    orders = (f"{key}{_ORDER}{act}" for act in get_args(RuleAct))
    records = (key, f"{key}{_OFF}", *orders, *(f"{key}{_SKIP}{partition}" for partition in partitions))
    return [(record.encode(), None) for record in records]


def _with(held: Mapping[K, V], key: K, value: V | None) -> dict[K, V]:
    rest = {each: found for each, found in held.items() if each != key}
    return rest if value is None else {**rest, key: value}
