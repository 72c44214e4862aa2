"""The store in Postgres meets the contract of stores."""

import re
from collections.abc import AsyncIterator, Callable

import asyncpg
import msgspec
import pytest
from stores.store_contract import *  # noqa: F403 - the tests of the contract
from stores.store_contract import change, owned, run_row, share, step_row

from stream_durable.core.admission.rows import AdmissionRow, MemberRow
from stream_durable.core.channel.rows import EventRow, ExpiredRow, WaitRow
from stream_durable.core.definition.nodes import SignalNode
from stream_durable.core.gate.rows import GateRow, PlaceRow, TurnRow
from stream_durable.core.later.rows import LaterRow
from stream_durable.core.run.attribute_rows import AttributeRow
from stream_durable.core.run.inner import Inner
from stream_durable.core.run.question_rows import QuestionRow
from stream_durable.core.run.rows import AttemptRow, RunChange, RunRow, StepRow
from stream_durable.core.run.signal_rows import SignalRow
from stream_durable.core.run.signal_wait_rows import SignalWaitRow
from stream_durable.core.run.state import Detail
from stream_durable.core.schedule.rows import FiringRow, ScheduleRow
from stream_durable.ports import DeadRow, Share, TimerRow
from stream_durable.postgres.migration_files import migrations
from stream_durable.postgres.queries import queries, usual, without_rare
from stream_durable.postgres.store import PostgresStore
from stream_durable.settings import PostgresSettings

pytestmark = pytest.mark.real


@pytest.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(PostgresSettings(dsn=database))
    yield store
    await store.close()


@pytest.fixture
async def other(store: PostgresStore, database: str) -> AsyncIterator[PostgresStore]:
    other = PostgresStore(PostgresSettings(dsn=database))
    yield other
    await other.close()


def _hold(one: Share) -> None:
    one.held, one.held_count = b"held", 1


SELDOM: dict[str, Callable[[Share], None]] = {
    "channel_event": lambda s: s.rows.of(EventRow).append(EventRow("c/k", "e1", 0, b"1", 10)),
    "channel_wait": lambda s: s.rows.of(WaitRow).append(WaitRow("c/k", "r", "w1", 0, 1, 1)),
    "channel_expired": lambda s: s.rows.of(ExpiredRow).append(ExpiredRow("c/k", "e1", 0, 10)),
    "timer": lambda s: s.timers.append(TimerRow("run", "r", "", 0, 10)),
    "dead_letter": lambda s: s.dead.append(DeadRow(0, 0, 1, "unreadable", "no JSON", None, b"", 5)),
    "attempt": lambda s: s.rows.of(AttemptRow).append(
        AttemptRow("r", "s", 1, 0, "failed", 1, 2, "worker", b"{}", b"[]")
    ),
    "gate": lambda s: s.rows.of(GateRow).append(GateRow("bank", 0, b"{}")),
    "run_signal": lambda s: s.rows.of(SignalRow).append(SignalRow("r", 1, 0, "i", "go", b"1")),
    "question": lambda s: s.rows.of(QuestionRow).append(QuestionRow("r", "s", 0, 1, "w", "f", 1)),
    "signal_wait": lambda s: s.rows.of(SignalWaitRow).append(
        SignalWaitRow("r", "s/go", 0, 1, "w", "go", '["go"]')
    ),
    "run_attribute": lambda s: s.rows.of(AttributeRow).append(AttributeRow("r", "a", 0, "w", "b1")),
    "later": lambda s: s.rows.of(LaterRow).append(LaterRow("event:c/k#e", 0, 10, 10, "", b"{}")),
    "schedule": lambda s: s.rows.of(ScheduleRow).append(ScheduleRow("nightly", 0, b"{}")),
    "schedule_firing": lambda s: s.rows.of(FiringRow).append(FiringRow("nightly", "nightly//1", 0, 10)),
    "backlog": _hold,
    "gate_place": lambda s: s.rows.of(PlaceRow).append(PlaceRow("bank", "r", "s", 0, 1, 1, True)),
    "gate_turn": lambda s: s.rows.of(TurnRow).append(TurnRow("bank//", "gold", 0, 7)),
    "admission": lambda s: s.rows.of(AdmissionRow).append(AdmissionRow("mail//", 0, b"{}")),
    "admission_member": lambda s: s.rows.of(MemberRow).append(
        MemberRow("mail//", "r", 0, "waiting", 1, 1, 10, 0, is_again=False, taker="", asked=9)
    ),
}
RARE = {
    "backlog",
    "run_attribute",
    "question",
    "signal_wait",
    "later",
    "schedule",
    "schedule_firing",
    "channel_expired",
    "gate_turn",
    "admission",
    "admission_member",
}


@pytest.mark.parametrize("table", SELDOM)
async def test_what_a_batch_seldom_has_is_saved_if_it_is_all_there_is(
    store: PostgresStore, database: str, table: str
) -> None:
    token, _ = await owned(store)
    usual_one, with_it = share(token), share(token, 1, 2)
    usual_one.rows |= {RunRow: [run_row()], StepRow: [step_row()]}
    usual_one.outbox = b"said"
    with_it.rows[RunChange] = [change()]
    with_it.published = [0]
    SELDOM[table](with_it)

    assert await store.commit([usual_one])
    assert await store.commit([with_it])

    connection = await asyncpg.connect(
        database, server_settings={"search_path": PostgresSettings().db_schema}
    )
    counts = {each: await connection.fetchval(f"select count(*) from {each}") for each in (*SELDOM, "outbox")}
    await connection.close()
    assert counts == {**dict.fromkeys((*SELDOM, "outbox"), 0), table: 1}


def test_the_usual_statement_writes_to_no_table_that_a_batch_seldom_needs() -> None:
    def written(query: str) -> set[str]:
        return set(re.findall(r"^  (?:insert into|update|delete from) (\w+)", query, re.MULTILINE))

    whole = queries()["batch_commit"]

    most = without_rare(whole)
    assert written(most) - written(usual(whole)) == set(SELDOM) - RARE
    assert written(whole) - written(most) == RARE
    assert usual(most) == usual(whole)


async def test_the_migration_finds_open_signal_waits(store: PostgresStore, database: str) -> None:
    token, _ = await owned(store)
    one = share(token)
    nodes = [
        SignalNode(name="s/any", signals=("go", "stop")),
        SignalNode(name="s/all", signals=("a", "b"), all_of=True),
    ]
    details = [msgspec.json.encode(Detail(inner=Inner("signal", 1, node))) for node in nodes]
    run = run_row()
    steps = [
        step_row()._replace(run=run.id, name=node.name, status="waiting", detail=detail)
        for node, detail in zip(nodes, details, strict=True)
    ]
    one.rows |= {RunRow: [run], StepRow: [*steps, steps[0]._replace(name="s/over", status="completed")]}
    assert await store.commit([one])

    connection = await asyncpg.connect(
        database, server_settings={"search_path": PostgresSettings().db_schema}
    )
    [migration] = [each for each in migrations() if each.version == 27]
    await connection.execute(migration.steps[-1].text)
    found = await connection.fetch("select wait, name, signals from signal_wait order by wait")
    await connection.close()
    assert [tuple(row) for row in found] == [
        ("s/all", "a and b", '["a","b"]'), ("s/any", "go or stop", '["go","stop"]'),
    ]  # fmt: skip
