"""Turns an author's call for a sleep, a wait for signals or for a token into a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stream_durable.core.definition.nodes import AnyNode, SignalNode, SleepNode, TokenNode
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.moments import Until, read_until, read_zone
from stream_durable.sdk.options import Options, name_of

if TYPE_CHECKING:
    from stream_durable.sdk.handler import Handler


def sleep_node(
    options: Options,
    name: str,
    duration: Duration | None,
    until: Until | None,
    zone: str | None,
    order: Mapping[str, Any],
) -> SleepNode:
    """Return the node of a sleep, for a time or until a moment."""
    if (duration is None) == (until is None):
        options.fault("contradiction", "a sleep takes a duration or until=, one of the two")
    if zone is not None and until is None:
        options.fault("contradiction", "zone= has no effect without until=")
    return SleepNode(
        name=name,
        duration_ms=(options.duration("a sleep", duration) or 0) if until is None else 0,
        until=None if until is None else read_until(options, until),
        zone="UTC" if zone is None else read_zone(options, zone),
        **order,
    )


def signal_node(
    options: Options,
    name: str,
    signal: str | None,
    any_of: Iterable[str] | None,
    all_of: Iterable[str] | None,
    limit: tuple[int | None, str | None],
    order: Mapping[str, Any],
) -> SignalNode:
    """Return the node of a wait for one signal, for any of several, or for all."""
    if sum(given is not None for given in (signal, any_of, all_of)) > 1:
        text = "a wait takes one signal, or several as any_of= or all_of=, one of the three"
        options.fault("contradiction", text)
    several = any_of if all_of is None else all_of
    signals = [name if signal is None else signal]
    if several is not None:
        signals = _several(options, "any_of=" if all_of is None else "all_of=", several, signals)
    limit_ms, output = limit
    return SignalNode(
        name=name,
        signals=tuple(map(name_of, signals)),
        all_of=all_of is not None,
        timeout_ms=limit_ms,
        on_timeout=output,
        **order,
    )


def token_node(
    options: Options,
    name: str,
    heartbeat: Duration | None,
    timeout: Duration | None,
    on_timeout: object,
    order: Mapping[str, Any],
) -> TokenNode:
    """Return the node of a wait that ends by a token."""
    limit_ms, output = options.time_limit(heartbeat if timeout is None else timeout, on_timeout)
    return TokenNode(
        name=name,
        heartbeat_ms=options.duration("heartbeat=", heartbeat),
        timeout_ms=None if timeout is None else limit_ms,
        on_timeout=output,
        **order,
    )


def give_tokens(nodes: Iterable[AnyNode], handlers: Iterable[Handler]) -> None:
    """Let the functions of a workflow know which steps have tokens."""
    names = tuple(node.name for node in nodes if isinstance(node, TokenNode))
    for handler in handlers if names else ():
        handler.tokens = names


def _several(options: Options, option: str, names: object, instead: list[str]) -> list[str]:
    if isinstance(names, Iterable) and not isinstance(names, str):
        return list(names)
    options.fault("bad_option", f"{option} takes several names, not {names!r}")
    return instead
