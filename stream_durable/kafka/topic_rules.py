"""The required properties of an instance's topics, with reasons: a table, and the comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from stream_durable.core.lanes import lanes_of
from stream_durable.kafka.config import BLOB_MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX
from stream_durable.ports import TopicStep
from stream_durable.settings import Settings
from stream_durable.wire.topics import (
    BLOBS,
    COMMANDS,
    CONTROL,
    DEAD,
    DEFINITIONS,
    EVENTS,
    INBOX,
    RUNS,
    STEPS,
    VERDICTS,
    full_name,
)

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
#: The brokers' defaults for a topic, and the needs of the inbox.
_MESSAGE_BYTES: Final = 1_048_588
#: How long public topics and those of outsiders are kept at first, and the least that is not questioned.
_PUBLIC_MS: Final = 28 * _DAY_MS
_PUBLIC_MS_MIN: Final = _DAY_MS
#: How long commands are kept, unless brokers forget the offsets of a group sooner.
COMMANDS_KEPT_MS: Final = 5 * _DAY_MS
#: How long brokers remember the offsets of a group without members, unless they are told otherwise.
OFFSETS_KEPT_MS: Final = 7 * _DAY_MS


class Rule(NamedTuple):
    """The required value of a topic property, with the purpose."""

    name: str
    #: The value for a new topic, or for a topic breaking the rule.
    value: str
    why: str
    #: Bounds of a number, where -1 is no end; without bounds it has to be the value.
    least: int | None = None
    most: int | None = None
    #: Whether setting it makes everything good; else what is on the topic already may be wrong.
    is_mendable: bool = True

    def takes(self, found: str | None) -> bool:
        """Whether a topic may have this value."""
        if self.least is None and self.most is None:
            return found == self.value
        number = _number(found)
        return (
            number is not None and _or_0(self.least) <= number and (self.most is None or number <= self.most)
        )

    def wanted(self) -> str:
        """Return the requirement, for people."""
        bounds = [
            f"{bound} or {word}"
            for bound, word in ((self.least, "more"), (self.most, "less"))
            if bound is not None
        ]
        return " and ".join(bounds) or self.value


class Wanted(NamedTuple):
    """A required topic."""

    name: str
    partitions: int
    rules: tuple[Rule, ...]

    @property
    def config(self) -> dict[str, str]:
        """The configuration of a new topic."""
        return {rule.name: rule.value for rule in self.rules}


class Found(NamedTuple):
    """An existing topic."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


def wanted(
    settings: Settings, queues: tuple[str, ...], *, offsets_kept_ms: int = OFFSETS_KEPT_MS
) -> list[Wanted]:
    """Return the topics of an instance with these queues, given the brokers' retention of group offsets."""
    p, n = settings.prefix, settings.kafka.partitions
    safe = (_elections(), _in_sync(settings.kafka.replication))
    public = (_policy("delete"), _kept_for_readers(), *safe)
    commands = (_policy("delete"), *_kept_for_workers(offsets_kept_ms), _size(BLOB_MESSAGE_BYTES_MAX), *safe)
    facts = (_policy("delete"), *_kept_for_ever(), *safe)
    stamped = (*facts, _size(_MESSAGE_BYTES), _stamps())
    return [
        Wanted(full_name(p, INBOX), n, stamped),
        Wanted(full_name(p, EVENTS), n, public),
        *(Wanted(full_name(p, COMMANDS + lane), n, commands) for q in queues for lane in lanes_of(q)),
        Wanted(full_name(p, STEPS), n, (*public, _size(_MESSAGE_BYTES))),
        Wanted(full_name(p, RUNS), n, (*public, _size(_MESSAGE_BYTES))),
        Wanted(full_name(p, BLOBS), n, (*facts, _size(BLOB_MESSAGE_BYTES_MAX))),
        Wanted(full_name(p, DEFINITIONS), 1, (_policy("compact"), _size(BLOB_MESSAGE_BYTES_MAX), *safe)),
        Wanted(full_name(p, CONTROL), 1, (_policy("compact"), _stamps(), *safe)),
        Wanted(full_name(p, VERDICTS), n, stamped),
        Wanted(full_name(p, DEAD), n, (*facts, _size(MESSAGE_BYTES_MAX))),
    ]


def compare(topic: Wanted, found: Found, *, replication: int) -> list[TopicStep]:
    """Return all deviations of a topic; only `ok` without any."""
    if found.partitions != topic.partitions:
        return [TopicStep(topic.name, "refuse", _other_partitions(topic, found))]
    wrong = [*_wrong(topic, found), *_few_replicas(topic, found, replication)]
    return wrong or [TopicStep(topic.name, "ok", f"{counted(topic.partitions)}{_compressed(found)}")]


def _wrong(topic: Wanted, found: Found) -> Iterator[TopicStep]:
    for rule in for_replicas(topic.rules, found.replicas):
        value = found.config.get(rule.name)
        if rule.takes(value):
            continue
        detail = f"{rule.name} is {value}, it should be {rule.wanted()}: {rule.why}"
        if rule.is_mendable:
            yield TopicStep(topic.name, "change", f"{detail}; `apply` sets it to {rule.value}")
        else:
            yield TopicStep(
                topic.name, "refuse", f"{detail}; change it with kafka-configs before anything is written"
            )


def for_replicas(rules: tuple[Rule, ...], replicas: int) -> tuple[Rule, ...]:
    """Return the rules for the actual number of replicas, which may differ from the settings."""
    return tuple(_in_sync(replicas) if rule.name == "min.insync.replicas" else rule for rule in rules)


def _few_replicas(topic: Wanted, found: Found, replication: int) -> Iterator[TopicStep]:
    if found.replicas < replication:
        yield TopicStep(
            topic.name,
            "warning",
            f"the replication factor is {found.replicas}, it should be {replication}: what is acknowledged "
            "is lost with fewer disks; change it with kafka-reassign-partitions, or set kafka.replication",
        )


def counted(partitions: int) -> str:
    """Return a number of partitions in words."""
    return "1 partition" if partitions == 1 else f"{partitions} partitions"


def _other_partitions(topic: Wanted, found: Found) -> str:
    return (
        f"it has {counted(found.partitions)}, not {topic.partitions}: keys would change their partition "
        "and their order would be lost; set kafka.partitions to what is there, or take a new prefix"
    )


def _compressed(found: Found) -> str:
    kind = found.config.get("compression.type", "producer")
    return "" if kind == "producer" else f"; compression.type is {kind}: the brokers recompress every batch"


def _policy(policy: str) -> Rule:
    why = {
        "delete": "compaction removes records that a newer one of the same key does not replace",
        "compact": "definitions are read whole at each start, and old runs need old ones",
    }
    return Rule("cleanup.policy", policy, why[policy], is_mendable=False)


def _stamps() -> Rule:
    why = "the broker's clock is the only one that decides"
    return Rule("message.timestamp.type", "LogAppendTime", why, is_mendable=False)


def _kept_for_ever() -> tuple[Rule, ...]:
    why = "removed records are missing from every rebuild, or from the step that needs them"
    return Rule("retention.ms", "-1", why), Rule("retention.bytes", "-1", why)


def _kept_for_readers() -> Rule:
    why = "a reader away for longer than that misses records"
    return Rule("retention.ms", str(_PUBLIC_MS), why, least=_PUBLIC_MS_MIN)


def _kept_for_workers(offsets_kept_ms: int) -> tuple[Rule, ...]:
    kept = min(COMMANDS_KEPT_MS, offsets_kept_ms * 5 // 7)
    why = (
        "commands have to outlast workers that are away, and to be gone before the brokers forget the "
        f"offsets of a group without members (offsets.retention.minutes, {offsets_kept_ms // 60_000}), for "
        "then nobody knows what was done"
    )
    most = offsets_kept_ms - _HOUR_MS if offsets_kept_ms > _HOUR_MS else offsets_kept_ms
    return (
        Rule("retention.ms", str(kept), why, least=min(kept, _DAY_MS), most=most),
        Rule(
            "retention.bytes", "-1", "commands that are removed before they are taken are never carried out"
        ),
    )


def _size(least: int) -> Rule:
    why = "what is larger is refused, and its step or its letter fails"
    return Rule("max.message.bytes", str(least), why, least=least)


def _elections() -> Rule:
    why = "a broker that lags would become the leader, and what was acknowledged would vanish"
    return Rule("unclean.leader.election.enable", "false", why)


def _in_sync(replicas: int) -> Rule:
    """With three replicas a write counts after two of them have the data, and one broker may be away."""
    least = max(1, replicas - 1)
    why = "with less, what is acknowledged may be on one disk only; with too much, nothing is accepted"
    return Rule("min.insync.replicas", str(least), why, least=least, most=max(1, replicas))


def _or_0(number: int | None) -> int:
    return 0 if number is None else number


def _number(text: str | None) -> float | None:
    """Return a property's number; Kafka writes -1 where there is no bound."""
    try:
        number = int(text or "")
    except ValueError:
        return None
    return float("inf") if number == -1 else number
