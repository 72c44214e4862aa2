"""How a topic is held against what it should be: without brokers."""

from __future__ import annotations

import pytest

from stream_durable.kafka.topic_rules import Found, Wanted, compare, wanted
from stream_durable.ports import TopicStep
from stream_durable.settings import Settings

DAY_MS = 86_400_000
SETTINGS = Settings().override({"kafka.partitions": 2, "kafka.replication": 3})


def topic(name: str, *, offsets_kept_ms: int = 7 * DAY_MS) -> Wanted:
    topics = wanted(SETTINGS, ("default",), offsets_kept_ms=offsets_kept_ms)
    return next(topic for topic in topics if topic.name == f"{SETTINGS.prefix}.{name}")


def compared(name: str, replicas: int = 3, partitions: int | None = None, **changed: str) -> list[TopicStep]:
    """Compare a topic that was made as it should be and of which somebody changed this."""
    ours = topic(name)
    config = {**ours.config, **{key.replace("_", "."): value for key, value in changed.items()}}
    found = Found(ours.partitions if partitions is None else partitions, replicas, config)
    return compare(ours, found, replication=3)


@pytest.mark.parametrize("ours", [t.name for t in wanted(SETTINGS, ("default",))])
def test_a_topic_that_was_made_by_the_rules_keeps_them(ours: str) -> None:
    assert [step.action for step in compared(ours.removeprefix(f"{SETTINGS.prefix}."))] == ["ok"]


@pytest.mark.parametrize(
    ("name", "changed", "action", "said"),
    [
        ("commands.default", {"max_message_bytes": "20000"}, "change", "20000, it should be 5000000 or more"),
        ("dead", {"max_message_bytes": "5000000"}, "change", "it should be 10000000 or more"),
        ("inbox", {"retention_ms": "604800000"}, "change", "it should be -1: removed records are missing"),
        ("blobs", {"retention_bytes": "1000"}, "change", "retention.bytes is 1000, it should be -1"),
        ("steps", {"retention_ms": "60000"}, "change", "it should be 86400000 or more"),
        ("commands.default", {"retention_ms": "60000"}, "change", "86400000 or more and 601200000 or less"),
        ("commands.default", {"retention_ms": str(28 * DAY_MS)}, "change", "sets it to 432000000"),
        ("commands.default", {"retention_ms": "-1"}, "change", "sets it to 432000000"),
        ("runs", {"min_insync_replicas": "1"}, "change", "it should be 2 or more and 3 or less"),
        ("runs", {"unclean_leader_election_enable": "true"}, "change", "it should be false"),
        ("inbox", {"cleanup_policy": "compact"}, "refuse", "it should be delete"),
        ("definitions", {"cleanup_policy": "delete"}, "refuse", "it should be compact"),
        ("verdicts", {"message_timestamp_type": "CreateTime"}, "refuse", "it should be LogAppendTime"),
    ],
)
def test_each_property_that_matters_is_said_with_what_it_should_be(
    name: str, changed: dict[str, str], action: str, said: str
) -> None:
    [step] = compared(name, **changed)

    assert step.action == action
    assert said in step.detail


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("commands.default", {"max_message_bytes": "9000000"}),
        ("steps", {"retention_ms": "-1"}),
        ("events", {"retention_ms": str(7 * DAY_MS)}),
        ("inbox", {"min_insync_replicas": "3"}),
        ("events", {"max_message_bytes": "1000"}),
    ],
)
def test_what_is_better_than_needed_or_a_matter_of_taste_is_left_alone(
    name: str, changed: dict[str, str]
) -> None:
    assert [step.action for step in compared(name, **changed)] == ["ok"]


def test_the_partitions_of_a_good_topic_are_counted() -> None:
    details = [compared(name)[0].detail for name in ("inbox", "definitions")]

    assert details == ["2 partitions", "1 partition"]


def test_brokers_that_compress_anew_are_mentioned() -> None:
    [step] = compared("inbox", compression_type="gzip")

    assert (step.action, "compression.type is gzip" in step.detail) == ("ok", True)


def test_too_few_replicas_are_a_warning_and_their_number_in_sync_follows_what_is_there() -> None:
    [step] = compared("inbox", replicas=1, min_insync_replicas="1")

    assert step.action == "warning"
    assert "replication factor is 1, it should be 3" in step.detail
    assert [s.action for s in compared("inbox", replicas=1)] == ["change", "warning"]


def test_other_partitions_are_refused_whatever_else_is_wrong() -> None:
    [step] = compared("inbox", partitions=3, max_message_bytes="1")

    assert (step.action, "it has 3 partitions, not 2" in step.detail) == ("refuse", True)


@pytest.mark.parametrize("days", [1, 2, 7, 30])
def test_commands_are_gone_before_the_offsets_of_their_group(days: int) -> None:
    kept = int(topic("commands.default", offsets_kept_ms=days * DAY_MS).config["retention.ms"])

    assert kept == min(5 * DAY_MS, days * DAY_MS * 5 // 7)
