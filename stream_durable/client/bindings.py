"""Bindings of topics of others: listed, turned off and on, deleted, given past records, let past bad ones."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, Unpack

import msgspec

from stream_durable.admission import learn, resolved
from stream_durable.client.edge import Edge
from stream_durable.client.latest import OrderState, order_states
from stream_durable.client.replaying import Place, Replay, Replayed, ReplayOptions, topic_views
from stream_durable.client.rules import forget, known_rule, read_declared, turn
from stream_durable.client.skipping import SkippedRecord, remedy, skip_record
from stream_durable.core.bindings import Bad, Binding, missing_remedy
from stream_durable.core.declared import Declared, rule_key
from stream_durable.core.errors import RejectedError
from stream_durable.core.moments import moment
from stream_durable.ports import Outgoing, Record, TopicPlace
from stream_durable.wire.bindings import read_bound
from stream_durable.wire.events import admit
from stream_durable.wire.foreign import Values
from stream_durable.wire.positions import read_position
from stream_durable.wire.topics import BINDING, FOREIGN, INBOX

#: The field with the name of what is made.
_TARGETS: Final[Mapping[str, str]] = {
    "start": "workflow", "event": "event", "signal": "signal", "answer": "wait",
}  # fmt: skip


class BoundPartition(NamedTuple):
    """A partition of a bound topic."""

    partition: int
    #: The next offset to be read; None: the ingress has not begun.
    position: int | None
    #: The next offset to be written.
    end: int
    lag: int | None
    #: Records that could not be taken, dead letters or skipped.
    bad: int
    #: Why the record at the position is not passed over; empty: it is not read yet.
    stopped: str


class BindingState(NamedTuple):
    """A binding."""

    name: str
    topic: str
    format: str
    makes: Literal["start", "event", "signal", "answer"]
    #: The workflow, the event, the signal, or the step that asks.
    target: str
    #: By option, such as `id`: the path, or a path for each field.
    paths: dict[str, str | dict[str, str]]
    match: dict[str, Any]
    #: The time of the first record to be read, where nothing was read before.
    since: datetime
    bad: Bad
    #: The app whose code declares it, and whether it does no longer.
    app: str
    is_undeclared: bool
    #: Whether it is on; else why not, since when, and who turned it off.
    is_on: bool
    reason: str
    off_since: datetime | None
    off_by: str
    #: The latest order of each act.
    orders: tuple[OrderState, ...]
    partitions: tuple[BoundPartition, ...]
    #: Why the topic cannot be looked at, with the remedy; empty: it can.
    trouble: str

    @property
    def lag(self) -> int | None:
        """How many records are still to be read; None: unknown."""
        lags = [each.lag for each in self.partitions]
        return None if self.trouble or None in lags else sum(lag for lag in lags if lag is not None)

    @property
    def bad_records(self) -> int:
        """How many records could not be taken."""
        return sum(each.bad for each in self.partitions)

    @property
    def stopped(self) -> str:
        """Where reading has stopped, why, and the remedy; empty: nowhere."""
        return "; ".join(
            f"partition {each.partition} stands at offset {each.position}: {each.stopped}; "
            + remedy(self.name, each.partition, each.position)
            for each in self.partitions
            if each.stopped
        )


class BindingOrders:
    """Orders to bindings, and their states."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def bindings(self) -> list[BindingState]:
        """Return all bindings, by name. A few requests to the brokers for each."""
        declared = await read_declared(self._edge)
        found = sorted(declared.bindings().items())
        return list(await asyncio.gather(*(_state(self._edge, declared, *each) for each in found)))

    async def binding(self, name: str) -> BindingState:
        """Return a binding."""
        declared = await read_declared(self._edge)
        return await _state(self._edge, declared, rule_key("binding", name), _known(declared, name))

    async def pause_binding(self, name: str, reason: str = "", *, by: str = "") -> None:
        """Turn a binding off, over deployments too. Records meanwhile are read once it is on again."""
        await turn(self._edge, "binding", name, "pause", reason, by)

    async def resume_binding(self, name: str, reason: str = "", *, by: str = "") -> None:
        """Turn a binding on again; a partition stopped at a record tries the record again."""
        await turn(self._edge, "binding", name, "resume", reason, by)

    async def delete_binding(self, name: str) -> None:
        """Forget a binding; a deployment still declaring the binding creates it again.

        The brokers keep the positions for their time, so one of this name reads on where this one was.
        """
        await forget(self._edge, "binding", name)

    async def skip_record(
        self,
        name: str,
        partition: int | None = None,
        offset: int | None = None,
        *,
        reason: str = "",
        by: str = "",
    ) -> SkippedRecord:
        """Let a binding with `bad="stop"` go past its blocking record, now a dead letter.

        Without a partition the only blocked one is meant. With the offset a repeat is harmless: a record
        passed already is left alone. Raises `RejectedError` with code `not_stopped` for any other record.
        """
        edge = self._edge
        return await skip_record(
            edge, _known(await read_declared(edge), name), partition, offset, reason=reason, by=by
        )

    async def replay_binding(
        self, name: str, since: Place, until: Place | None = None, **options: Unpack[ReplayOptions]
    ) -> Replayed:
        """Give records from `since` to before `until` to a binding again, one each `pace`.

        Both are times or offsets, in all partitions or one; None: the present end. Ids are those of the first
        time, so a repeat is harmless: nothing happens twice. With `preview` records are read and counted, and
        nothing is sent. Unusable records are counted and passed over.
        """
        edge, binding = self._edge, _known(await read_declared(self._edge), name)
        ports = edge.ports
        values = Values(binding, has_registry=ports.registry is not None)

        async def prepare(records: Sequence[Record]) -> None:
            await ports.catalogue.catch_up()
            await learn(values, [record.value for record in records], ports.registry)

        def make(record: Record, own_id: str) -> Outgoing | None:
            found = read_bound(binding, values, record, own_id, ports.event_ttl_ms)
            if found is None:
                return None
            message = resolved(found, ports.catalogue, ports.tokens)
            return Outgoing(INBOX, None, message.key.encode(), admit(message))

        replay = Replay(edge, "binding", name, FOREIGN + binding.topic, prepare, make)
        return await replay.run(since, until, options)


def _known(declared: Declared, name: str) -> Binding:
    found = known_rule(declared, "binding", name)
    assert isinstance(found, Binding), "the key says it"
    return found


async def _state(edge: Edge, declared: Declared, key: str, binding: Binding) -> BindingState:
    off, trouble, found = declared.off.get(key), "", list[TopicPlace]()
    views = topic_views(edge)
    try:
        found = await edge.ask(
            lambda: views.partitions(FOREIGN + binding.topic, BINDING + binding.name),
            f"look at topic {binding.topic!r}",
        )
    except RejectedError as error:
        trouble = f"{error}: {missing_remedy(binding.topic)}"
    paths = msgspec.to_builtins(binding.becomes)
    makes = paths.pop("type")
    target = paths.pop(_TARGETS[makes])
    return BindingState(
        binding.name, binding.topic, binding.encoding, makes, target,
        {option: path for option, path in paths.items() if path}, binding.match, moment(binding.begins),
        binding.bad, binding.app, declared.is_undeclared(key), off is None, "" if off is None else off.reason,
        None if off is None else moment(off.at), "" if off is None else off.by,
        order_states(declared.orders.get(key, {})), tuple(map(_partition, found)), trouble,
    )  # fmt: skip


def _partition(found: TopicPlace) -> BoundPartition:
    position = read_position(found.metadata)
    lag = None if found.offset is None else max(0, found.high - max(found.offset, found.low))
    return BoundPartition(found.partition, found.offset, found.high, lag, position.bad, position.stopped)
