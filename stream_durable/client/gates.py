"""Gates: limits changed at run time, and places."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple
from uuid import uuid4

from stream_durable.client.edge import Edge
from stream_durable.client.gate_keys import set_keys
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import GATES
from stream_durable.core.gate.breaker_state import OPEN
from stream_durable.core.gate.limits import COUNT_MAX, WEIGHT_MAX, WEIGHTS_MAX, GateChange
from stream_durable.core.gate.state import gate_id, meant_by
from stream_durable.core.gate.summary import GatePlace, GateSummary
from stream_durable.core.ids import fits
from stream_durable.core.messages import ProbeBreaker, ResetGate, SetGate
from stream_durable.ports import Views
from stream_durable.sdk.durations import read_rate


class GateState(NamedTuple):
    """A gate or a breaker, with places."""

    gate: GateSummary
    #: Those inside, then those waiting, each in order.
    places: list[GatePlace]


async def read_gate(
    views: Views, name: str, *, key: str = "", is_breaker: bool = False, limit: int = 100, after: int = 0
) -> GateState:
    """Return a gate, else a breaker, with so many places; beyond the ordinal `after` only those waiting."""
    for one in (name,) if is_breaker else meant_by(name, key):
        gate = await views.gate_get(one)
        if gate is not None:
            places = [] if after else await views.gate_places(one, is_inside=True, limit=limit)
            if len(places) < limit:
                rest = limit - len(places)
                places += await views.gate_places(one, is_inside=False, after=after, limit=rest)
            return GateState(gate, places)
    about = f"{name[:128]!r} with key {key[:128]!r}" if key else repr(name[:128])
    text = f"there is no gate {about}: nothing has passed one; where each key has limits, give the key"
    raise RejectedError("unknown_gate", f"{text}; `stream-durable gates list` shows those there are")


class GateOrders:
    """The methods of a client about gates."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def set_gate(
        self,
        name: str,
        *,
        key: str = "",
        at_once: int | None = None,
        rate: str | None = None,
        burst: int | None = None,
        weights: Mapping[str, int] | None = None,
        all_keys: bool = False,
        reason: str = "",
        by: str = "",
    ) -> None:
        """Change limits of a gate; other limits stay. Kept over deployments, until `reset_gate`.

        With limits for each key, `key` is the key to change, or `all_keys` changes all of them, also those to
        come, in some seconds; a key's own change goes before it. `by` and `reason` are kept and shown.
        """
        _check_keys(name, key, weights, all_keys=all_keys)
        count, rate_ms = (None, None) if rate is None else read_rate(rate)
        numbers = {"at_once": at_once, "rate": count, "the time of rate": rate_ms}
        _check(name, numbers, 1, COUNT_MAX)
        _check(name, {"burst": burst}, 0, COUNT_MAX)
        weights = dict(weights or {})
        _check(name, {f"the weight of {one!r}": weight for one, weight in weights.items()}, 1, WEIGHT_MAX)
        if len(weights) > WEIGHTS_MAX:
            raise RejectedError("bad_gate", f"gate {name!r}: {WEIGHTS_MAX} weights are the most")
        change = GateChange(at_once=at_once, rate=count, rate_ms=rate_ms, burst=burst, weights=weights)
        if change == GateChange():
            text = f"gate {name!r}: nothing is to change: give at_once=, rate=, burst= or weights="
            raise RejectedError("bad_gate", text)
        if all_keys:
            await set_keys(self._edge, name, change, reason=reason, by=by)
            return
        gate = await self._known(name, key)
        message = SetGate(key=gate, id=uuid4().hex, format=GATES, change=change, by=by, reason=reason)
        await self._edge.send(message, f"change gate {name!r}")

    async def reset_gate(
        self, name: str, *, key: str = "", all_keys: bool = False, reason: str = "", by: str = ""
    ) -> None:
        """Go back to the limits of the code; with `all_keys` where all keys were changed together."""
        _check_keys(name, key, None, all_keys=all_keys)
        if all_keys:
            await set_keys(self._edge, name, None, reason=reason, by=by)
            return
        gate = await self._known(name, key)
        message = ResetGate(key=gate, id=uuid4().hex, format=GATES, by=by, reason=reason)
        await self._edge.send(message, f"reset gate {name!r}")

    async def probe_breaker(self, name: str, *, reason: str = "", by: str = "") -> None:
        """Let one attempt behind an open breaker try now: success closes the breaker, failure opens it again.

        Raises for a breaker that is not open.
        """
        views = self._edge.ports.views
        found = await self._edge.ask(lambda: views.gate_get(name), f"read breaker {name!r}")
        if found is None or found.kind != "breaker":
            text = f"there is no breaker {name[:128]!r}: `stream-durable gates list` shows them"
            raise RejectedError("unknown_gate", text)
        if found.state != OPEN:
            text = f"breaker {name!r} is {found.state}: only an open one waits for its next trial"
            raise RejectedError("not_open", text)
        message = ProbeBreaker(key=name, id=uuid4().hex, format=GATES, by=by, reason=reason)
        await self._edge.send(message, f"probe breaker {name!r}")

    async def gates(self, *, limit: int = 1_000, after: str = "") -> list[GateSummary]:
        """Return a page of the gates and breakers, by id, beyond the id `after`."""
        return await self._edge.ports.views.gate_list(after=after, limit=limit)

    async def gate(
        self, name: str, *, key: str = "", breaker: bool = False, limit: int = 100, after: int = 0
    ) -> GateState:
        """Return a gate, or else the breaker of this name, with a page of the places.

        `key` is that of a gate with limits for each key. Raises `RejectedError` if nothing has passed it.
        """
        views = self._edge.ports.views
        return await self._edge.ask(
            lambda: read_gate(views, name, key=key, is_breaker=breaker, limit=limit, after=after),
            f"read gate {name!r}",
        )

    async def gate_places(
        self, gate: str, *, is_inside: bool | None = None, limit: int = 1_000, after: int = 0
    ) -> list[GatePlace]:
        """Return a page of places at a gate or breaker of this id, inside or waiting or both, by ordinal."""
        return await self._edge.ports.views.gate_places(gate, is_inside=is_inside, after=after, limit=limit)

    async def _known(self, name: str, key: str) -> str:
        gate = gate_id(name, key)
        if not fits(gate):
            raise RejectedError("bad_gate", f"gate {name[:128]!r}: the key is too long")
        if not key and await self._edge.ports.views.gate_get(gate) is None:
            text = f"nothing has passed a gate {name!r}; where each key has limits, give the key, or all keys"
            raise RejectedError("unknown_gate", text)
        return gate


def _check_keys(name: str, key: str, weights: Mapping[str, int] | None, *, all_keys: bool) -> None:
    if all_keys and (key or weights):
        text = f"gate {name!r}: all_keys= goes without key= and weights="
        raise RejectedError("bad_gate", f"{text}: it is of gates whose keys have limits each")


def _check(name: str, numbers: Mapping[str, int | None], least: int, most: int) -> None:
    for what, number in numbers.items():
        if number is not None and not least <= number <= most:
            text = f"gate {name!r}: {what} is {number}, and must be from {least} to {most}"
            raise RejectedError("bad_gate", text)
