"""What runs make Postgres and Kafka do, counted: what is added to it shows on any machine.

A request carries records of one partition, so there are never more of them than records.
Runs one at a time give the same numbers each time. Of many at once records and steps' rows are the same,
and what batches share has a bound. Who changes a number here has changed what every step costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from stream_durable.bench.counts import Counting, Counts, written
from stream_durable.bench.instance import Instance, instance
from stream_durable.bench.load import prefixes_of
from stream_durable.bench.services import Services
from stream_durable.bench.work import new_runs, one
from stream_durable.bench.workloads import WORKLOADS
from stream_durable.core.lifecycle import RUN_COMPLETED, RunEvent
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres
from stream_durable.settings import DEFAULT_FILE
from stream_durable.wire.topics import CONTROL

ALONE = 40
AT_ONCE = {"chain": 200, "single": 1_000, "fan": 60, "latency": 400}
PARTITIONS = 8

#: For one step.
STEP = {
    "commands.default": 1,  # the command
    "inbox": 1,  # its result
    "steps": 1,  # the event that it completed
}
#: For one run, beside its steps.
RUN = {
    "commands.default": -1,  # of the step it begins with, which has a lane of its own
    "commands.default.first": 1,
    "inbox": 1,  # its start
    "runs": 2,  # the events that it started and completed
}
#: The most bytes of a record that travels alone, with the header of its batch; the host's name is in some.
RECORD_BYTES = {
    "commands.default": 440,  # names, the attempt, and an input of 100 bytes; the last of a fan has fifty
    "commands.default.first": 440,  # the same
    "inbox": 400,  # names, times, and an output of 100 bytes
    "steps": 620,  # the event in Avro, and the headers of CloudEvents
    "runs": 560,  # the same, and a run's output
}
#: For one commit that takes one record.
COMMIT_ROWS = {
    "evidence": 1,  # what was folded, to be verified later
    "outbox": 2,  # what is to be published: written with the commit, deleted with a later one
    "run": 1,  # where the run stands
}
#: The most bytes of write-ahead log: the rows above, their indexes, and now and then the image of a page.
COMMIT_WAL_BYTES = 3_200
#: Checkpoints are minutes apart, so two laps in a row are not both the first after one.
LAPS = 3
#: Of a run, beside its commits: the look whether it is there already.
LOOKS = 1
#: Notes of what Kafka has acknowledged last, made for a partition once nothing more comes.
NOTES = 4 * PARTITIONS
#: Transactions that come with the time and not with runs: the look at who is present is two each second, and
#: rows are looked at every five. A server process may have kept those of the last ten seconds to itself.
PER_SECOND, KEPT_SECONDS = 2.3, 10
#: The share of a step, when there is much to do, in what is done for a batch: commits, requests, their rows.
SHARED = 0.3
#: The most bytes of write-ahead log of a step then: its row, its share in a run's, and the indexes of both.
STEP_WAL_BYTES = {"chain": 2_500, "single": 5_000, "fan": 2_500, "latency": 3_500}


class Site(NamedTuple):
    made: Instance
    counting: Counting


@pytest.fixture(scope="module")
def site(
    kafka_broker: LocalKafka, postgres_server: LocalPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    found = Services(tmp_path_factory.mktemp("counts"), kafka_broker, postgres_server)
    with instance(found, WORKLOADS["chain"]) as made:
        let_a_slow_machine_be_slow(made.home / DEFAULT_FILE)
        made.start()
        yield Site(made, made.counting())


def let_a_slow_machine_be_slow(settings: Path) -> None:
    """Leave out what comes with the time: announcements of long attempts, and partitions that move."""
    text = settings.read_text().replace("[kafka]\n", "[kafka]\nsession_timeout_ms = 60000\n")
    settings.write_text(f"{text}[worker]\nstarted_after_ms = 60000\n")


def records(runs: int, steps: int) -> dict[str, int]:
    found = {
        topic: runs * (RUN.get(topic, 0) + steps * STEP.get(topic, 0)) for topic in sorted({*RUN, *STEP})
    }
    return {topic: count for topic, count in found.items() if count}


@pytest.mark.real
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["chain", "single", "latency"])
def test_a_run_alone_costs_a_commit_for_its_start_and_one_for_each_result(site: Site, name: str) -> None:
    counts, seconds = alone(site, name)
    commits = ALONE * (1 + WORKLOADS[name].steps)

    assert of_runs(counts.records) == records(ALONE, WORKLOADS[name].steps)
    # Where a commit takes longer than a call, what came meanwhile shares the next one.
    commits = min(commits, round(rows_of_commits(counts)["evidence"]))
    assert rows_of_commits(counts) == {table: n * commits for table, n in COMMIT_ROWS.items()}
    notes = counts.rows["partition"] - commits
    # Where runs take long, there are more pauses between their records.
    assert 0 <= notes <= NOTES + seconds
    # One transaction may make several notes.
    others = counts.transactions - commits - LOOKS * ALONE
    assert 0 <= others <= notes + PER_SECOND * (seconds + KEPT_SECONDS), (
        "a transaction may make several notes"
    )
    check_steps(counts, ALONE, WORKLOADS[name].steps)
    check_wal(counts, COMMIT_WAL_BYTES * (commits + PARTITIONS), lambda: alone(site, name)[0])


@pytest.mark.real
@pytest.mark.timeout(300)
def test_the_steps_of_a_fan_share_commits_and_requests_as_they_come(site: Site) -> None:
    counts, seconds = alone(site, "fan")
    commits = ALONE * (1 + WORKLOADS["fan"].steps)

    assert of_runs(counts.records) == records(ALONE, WORKLOADS["fan"].steps)
    assert sum(counts.requests.values()) < sum(counts.records.values())
    assert all(n <= COMMIT_ROWS[table] * commits for table, n in rows_of_commits(counts).items())
    assert counts.transactions <= commits + LOOKS * ALONE + NOTES + PER_SECOND * (seconds + KEPT_SECONDS)
    check_steps(counts, ALONE, WORKLOADS["fan"].steps)
    check_wal(counts, COMMIT_WAL_BYTES * commits, lambda: alone(site, "fan")[0])


@pytest.mark.real
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["chain", "single", "fan", "latency"])
def test_many_runs_at_once_share_what_a_batch_costs(site: Site, name: str) -> None:
    made, n = site.made, AT_ONCE[name]
    made.workload = WORKLOADS[name]
    steps = n * made.workload.steps

    def at_once() -> Counts:
        more = new_runs(n)
        made.begin(more)
        made.completed.wait(more, made.check)
        return site.counting.lap()

    counts = at_once()

    assert of_runs(counts.records) == records(n, made.workload.steps)
    assert all(requests <= SHARED * steps for requests in counts.requests.values()), counts.requests
    # A reconciler that is behind keeps first commands in a backlog: one row of a batch, written and deleted.
    shared = {table: counts.rows.get(table, 0) for table in ("evidence", "outbox", "partition", "backlog")}
    assert all(rows <= SHARED * steps for rows in shared.values()), shared
    assert counts.rows["run"] <= n + steps, "a run's row is written once for each of its records at most"
    assert counts.transactions <= SHARED * steps
    check_steps(counts, n, made.workload.steps, frozenset({"backlog"}))
    check_wal(counts, STEP_WAL_BYTES[name] * steps, at_once)


def of_runs(by_topic: Mapping[str, float]) -> dict[str, float]:
    """Leave out what comes with the time: a worker's record in ten seconds."""
    return {topic: count for topic, count in by_topic.items() if topic != CONTROL}


def alone(site: Site, name: str) -> tuple[Counts, float]:
    begin = time.monotonic()
    site.made.workload = WORKLOADS[name]
    for run in new_runs(ALONE):
        one(site.made, run)
    return site.counting.lap(), time.monotonic() - begin


def rows_of_commits(counts: Counts) -> dict[str, float]:
    return {table: counts.rows[table] for table in COMMIT_ROWS}


def check_steps(counts: Counts, runs: int, steps: int, also: frozenset[str] = frozenset()) -> None:
    """One row for each step, and no table, topic or byte that is not known above; others may be there."""
    assert counts.rows["step"] == runs * steps
    assert {*counts.rows} - also == {*COMMIT_ROWS, "partition", "step"}
    for topic, size in of_runs(counts.bytes).items():
        assert size <= RECORD_BYTES[topic] * counts.records[topic], topic


def check_wal(counts: Counts, most: int, again: Callable[[], Counts]) -> None:
    """So many bytes of write-ahead log at most, of one lap in three: the first change of a page after a
    checkpoint writes it whole."""
    for _ in range(1, LAPS):
        if counts.wal_bytes > most:
            counts = again()
    assert counts.wal_bytes <= most


def test_batches_are_read_from_a_log_up_to_one_that_is_not_whole(tmp_path: Path) -> None:
    def batch(records: int, payload: int) -> bytes:
        length = 49 + payload
        return bytes(8) + length.to_bytes(4) + bytes(45) + records.to_bytes(4) + bytes(payload)

    for place, data in {
        "a.inbox-0": batch(3, 100) + batch(1, 0),
        "a.inbox-1": batch(2, 10) + batch(9, 0)[:30],
        "a.commands.default-0": batch(5, 7) + bytes(100),
        "b.inbox-0": batch(1, 1),
    }.items():
        (tmp_path / place).mkdir()
        (tmp_path / place / "00.log").write_bytes(data)

    assert written(tmp_path, "a") == {"inbox": (6, 61 * 3 + 110, 3), "commands.default": (5, 68, 1)}


def test_events_are_told_under_every_schema() -> None:
    first, *others = prefixes_of(RunEvent, RUN_COMPLETED)

    assert others, "runs' events have had two schemas"
    assert all(one.endswith(b"\x1arun.completed") for one in (first, *others))
