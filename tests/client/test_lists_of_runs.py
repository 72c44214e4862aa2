"""What clients find among runs: rows that a store put there, seen through the views of a real Postgres."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from stream_durable.core.errors import RejectedError
from stream_durable.core.run.rows import AttemptRow, RunChange, RunRow
from stream_durable.ports import ListPosition, RunOrder, RunQuery, Share
from stream_durable.postgres.connection import connect
from stream_durable.postgres.migrate import migrate
from stream_durable.postgres.queries import queries
from stream_durable.postgres.run_lists import conditions, list_query
from stream_durable.postgres.store import PostgresStore
from stream_durable.postgres.views import PostgresViews
from stream_durable.settings import PostgresSettings

pytestmark = pytest.mark.real

NEWEST = ListPosition((1 << 63) - 1, "")
ENDED = frozenset({"completed", "failed", "cancelled", "compensated", "compensation_failed"})


class World:
    """A schema, who writes to it, and who reads."""

    def __init__(self, settings: PostgresSettings) -> None:
        self.settings = settings
        self.store = PostgresStore(settings)
        self.views = PostgresViews(settings)
        self._offset = 0

    async def write(
        self,
        runs: Sequence[RunRow] = (),
        changes: Sequence[RunChange] = (),
        attempts: Sequence[AttemptRow] = (),
    ) -> None:
        token = uuid4()
        await self.store.claim(0, "owner", token)
        share = Share(0, token, self._offset, self._offset + 1, 1, 1, 1, 0)
        share.rows |= {RunRow: list(runs), RunChange: list(changes), AttemptRow: list(attempts)}
        assert await self.store.commit([share])
        self._offset += 1

    async def ids(self, query: RunQuery) -> list[str]:
        """Return what is found, and make sure that it is counted alike."""
        found = [run.id for run in (await self.views.run_list(query, limit=1_000)).runs]
        assert await self.views.run_count(query, at_most=1_000) == len(found)
        return found


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    settings = PostgresSettings(dsn=database, db_schema="lists")
    await migrate(settings, 1)
    world = World(settings)
    yield world
    await world.store.close()
    await world.views.close()


def run(key: str, created: int = 1, status: str = "running", **fields: Any) -> RunRow:
    has_failure = status in ENDED - {"completed"}
    row = RunRow(
        key, 0, "order", "f" * 16, status, created, created + 5, created + 5 if status in ENDED else None,
        "start", b'{"id":"42"}', None, b'{"code":"no"}' if has_failure else None, 0, 1, 0, 2, None, None,
        None, None,
    )  # fmt: skip
    return row._replace(**fields)


def tags(*names: str) -> str:
    return msgspec.json.encode(names).decode()


async def test_what_was_undone_because_somebody_cancelled_it_is_left_out_if_asked_for(world: World) -> None:
    asked, by_hand = b'{"code":"cancelled","message":"enough"}', b'{"code":"cancelled","step":"a"}'
    await world.write(
        [
            run("asked", 10, "compensated", failure=asked),
            run("by hand", 20, "compensated", failure=by_hand),
            run("stuck", 30, "compensation_failed", failure=asked),
            run("open", 40),
        ]
    )
    assert await world.ids(RunQuery(unasked=True)) == ["open", "stuck", "by hand"]


async def test_every_condition_picks_the_runs_it_means(world: World) -> None:
    await world.write(
        [
            run("a", 10, "completed", workflow="mail", fingerprint="e" * 16),
            run("b", 20, "failed", tags=tags("vip", "eu"), input='{"who":"Zoë"}'.encode()),
            run("c", 30, "waiting", queue="slow", tags=tags("v")),
            run("d", 40, "running", parent="c", parent_step="call"),
            run("e", 50, "compensated", metadata=b'{"by":"tom"}'),
        ]
    )

    assert await world.ids(RunQuery()) == ["e", "d", "c", "b", "a"]
    assert await world.ids(RunQuery(workflow="mail")) == ["a"]
    assert await world.ids(RunQuery(fingerprint="e" * 16)) == ["a"]
    assert await world.ids(RunQuery(status=("waiting", "failed"))) == ["c", "b"]
    assert await world.ids(RunQuery(status=("waiting", "running"))) == ["d", "c"]
    assert await world.ids(RunQuery(status=("failed", "compensated"))) == ["e", "b"]
    assert await world.ids(RunQuery(tag="vip")) == ["b"]
    assert await world.ids(RunQuery(tag="v")) == ["c"]
    assert await world.ids(RunQuery(queue="slow")) == ["c"]
    assert await world.ids(RunQuery(queue="default")) == ["e", "d", "b", "a"]
    assert await world.ids(RunQuery(parent="c")) == ["d"]
    assert await world.ids(RunQuery(created_since=20, created_before=40)) == ["c", "b"]
    assert await world.ids(RunQuery(updated_since=45, updated_before=55)) == ["d"]
    assert await world.ids(RunQuery(input_text="Zoë")) == ["b"]
    assert await world.ids(RunQuery(input_text='"id":"42"')) == ["e", "d", "c", "a"]
    assert await world.ids(RunQuery(input_text="%")) == []
    assert await world.ids(RunQuery(status=("compensated", "failed"), unasked=True)) == ["e", "b"]
    several = RunQuery(workflow="order", status=("failed",), tag="eu", created_before=21)
    assert await world.ids(several) == ["b"]
    (found,) = (await world.views.run_list(RunQuery(parent="c"))).runs
    assert (found.parent, found.parent_step, found.attempt, found.priority) == ("c", "call", 1, 0)
    (found,) = (await world.views.run_list(RunQuery(status=("compensated",)))).runs
    assert found.metadata == b'{"by":"tom"}'


async def test_a_tag_is_found_whole_whatever_stands_in_it(world: World) -> None:
    odd = ["x,", ",z", 'say "hi"', "a\\b", "%", "\u0000", "é"]
    await world.write([run(str(i), i, tags=tags(*odd[i:])) for i in range(len(odd))])

    for i, tag in enumerate(odd):
        assert sorted(await world.ids(RunQuery(tag=tag))) == [str(n) for n in range(i + 1)]
    for tag in (",", "x", '"', ',","', "hi"):
        assert await world.ids(RunQuery(tag=tag)) == []


async def test_counting_stops_where_it_is_told_to(world: World) -> None:
    await world.write([run(str(i), i) for i in range(20)])

    assert await world.views.run_count(RunQuery(), at_most=7) == 7
    assert await world.views.run_count(RunQuery(), at_most=21) == 20


async def test_pages_miss_and_double_no_run_while_runs_come_change_and_go_on(world: World) -> None:
    # Many of one moment, so that the id has to tell them apart.
    there = {f"old{i:03}": run(f"old{i:03}", 1_000 + i // 7) for i in range(60)}
    await world.write(list(there.values()))
    seen: list[str] = []
    after, pages = None, 0

    while True:
        page = await world.views.run_list(RunQuery(workflow="order"), limit=7, after=after)
        seen += [one.id for one in page.runs]
        pages += 1
        # Newer ones, older ones, one of the moment at which the page ended; and what is there changes.
        moment = page.runs[-1].created
        await world.write(
            [run(f"new{pages}", 9_000), run(f"late{pages}", 1), run(f"same{pages}", moment)],
            [
                RunChange(key, "completed", 9_000 + pages, 9_000, b"1", None, 1, 2, 2, 2, None, None)
                for key in list(there)[pages::3]
            ],
        )
        after = page.following
        if after is None:
            break

    assert [key for key in seen if key in there] == sorted(
        there, key=lambda key: (there[key].created, key), reverse=True
    )
    assert len(seen) == len(set(seen))


async def test_children_of_many_runs_are_counted_in_one_query(world: World) -> None:
    await world.write(
        [run("a"), run("b"), *(run(f"a/{i}", parent="a", parent_step="call") for i in range(3))]
    )
    await world.write([run("a/0/0", parent="a/0", parent_step="call")])

    assert await world.views.child_counts(["a", "b", "a/0", "nobody"]) == {"a": 3, "a/0": 1}
    assert await world.views.child_counts([]) == {}


async def test_figures_of_workflows_count_each_run_where_it_belongs(world: World) -> None:
    asked = b'{"code":"cancelled","message":"enough"}'
    await world.write(
        [
            run("old", 10, "failed"),
            run("open", 20),
            run("waiting", 100, "waiting"),
            run("done", 110, "completed"),
            run("asked", 120, "compensated", failure=asked),
            run("undone", 130, "compensated"),
            run("mail", 140, "completed", workflow="mail"),
        ]
    )
    assert await world.views.workflow_figures(["order", "mail", "never"], since=100) == [
        ("mail", 0, 0, 0, 1, 1, 140, "completed"),
        ("never", 0, 0, 0, 0, 0, None, None),
        ("order", 2, 1, 2, 4, 1, 130, "compensated"),
    ]


async def test_figures_of_workflows_are_found_by_indexes(world: World) -> None:
    connection = await connect(world.settings)
    await connection.execute(FILL)

    plan = await connection.fetchval(
        "explain (format json) " + queries()["view_workflow_figures"], 95, ["order", "rare"]
    )
    await connection.close()

    # No table is read as a whole; where the newest run of each is found depends on how many there are.
    assert {"run_open", "run_failed", "run_created"} <= set(_indexes(json.loads(plan)[0]["Plan"]))


async def test_a_family_is_found_from_any_of_its_members(world: World) -> None:
    await world.write(
        [
            run("top", 1),
            run("left", 2, parent="top", parent_step="a"),
            run("right", 3, parent="top", parent_step="b"),
            run("below", 4, parent="left", parent_step="c"),
            run("stranger", 5),
            run("orphan", 6, parent="deleted", parent_step="a"),
        ]
    )

    for member in ("top", "left", "right", "below"):
        found = await world.views.run_family(member, limit=10)
        assert sorted(one.id for one in found) == ["below", "left", "right", "top"]
    assert [one.id for one in await world.views.run_family("below", limit=9)] == [
        "top",
        "left",
        "below",
        "right",
    ]
    assert [one.id for one in await world.views.run_family("below", limit=2)] == ["top", "left"]
    assert [one.id for one in await world.views.run_family("right", limit=3)] == ["top", "right", "left"]
    assert [one.id for one in await world.views.run_family("orphan", limit=9)] == ["orphan"]
    assert await world.views.run_family("nobody", limit=9) == []
    stored = await world.views.run_with_steps("top")
    assert stored is not None
    assert stored.children == 2


async def test_attempts_come_page_by_page(world: World) -> None:
    rows = [
        AttemptRow("r", step, attempt, 0, "failed", 1, 2, "w", b"{}", b'[[1,"info","x"]]')
        for step in ("a", "b")
        for attempt in (1, 2, 10)
    ]
    await world.write([run("r")], attempts=rows)

    first = await world.views.attempt_list("r", limit=4)
    rest = await world.views.attempt_list("r", limit=4, after=(first[-1].step, first[-1].attempt))

    assert first + rest == rows
    assert await world.views.attempt_list("r", step="b") == rows[3:]


async def test_a_query_that_takes_too_long_is_refused_with_the_remedy(world: World) -> None:
    await world.write([run(str(i), i, input=b'"%b"' % (b"ab" * 400_000)) for i in range(40)])
    impatient = PostgresViews(world.settings.model_copy(update={"statement_timeout_ms": 1}))

    with pytest.raises(RejectedError, match="add conditions") as refused:
        await impatient.run_count(RunQuery(input_text="ba" * 1_000 + "c"), at_most=1_000)

    assert refused.value.code == "too_broad"
    await impatient.close()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (RunQuery(), "run_created"),
        (RunQuery(workflow="rare"), "run_workflow"),
        (RunQuery(workflow="order"), "run_created"),
        (RunQuery(status=("paused",)), "run_open"),
        (RunQuery(status=("waiting", "running")), "run_open"),
        (RunQuery(status=("failed", "compensation_failed")), "run_failed"),
        (RunQuery(status=("failed",), workflow="order"), "run_failed"),
        (RunQuery(parent="order-7"), "run_children"),
        (RunQuery(created_since=90, created_before=95), "run_created"),
        (RunQuery(status=("completed",)), "run_created"),
    ],
)
async def test_what_people_look_for_is_found_by_an_index(world: World, query: RunQuery, index: str) -> None:
    connection = await connect(world.settings)
    await connection.execute(FILL)

    for _ in range(7):  # as often as it takes until a plan would be kept for all
        plan = await connection.fetchval(
            "explain (format json) " + queries()["view_run_list"], *conditions(query), *NEWEST, 51
        )
    names = set(_indexes(json.loads(plan)[0]["Plan"]))
    plan = await connection.fetchval(
        "explain (format json) " + queries()["view_run_count"], *conditions(query), 1_000
    )
    scanned = {node["Node Type"] for node in _nodes(json.loads(plan)[0]["Plan"])}
    await connection.close()

    assert names == {index}
    if index in ("run_open", "run_failed", "run_children"):
        assert "Seq Scan" not in scanned


@pytest.mark.parametrize("is_up", [True, False])
async def test_the_longest_and_the_shortest_are_found_by_an_index(world: World, is_up: bool) -> None:  # noqa: FBT001
    connection = await connect(world.settings)
    await connection.execute(FILL)
    which = RunQuery(workflow="order", status=("completed",))
    statement, arguments = list_query(which, RunOrder(by="duration", is_up=is_up), None, 51)

    for _ in range(7):  # as often as it takes until a plan would be kept for all
        plan = await connection.fetchval("explain (format json) " + statement, *arguments)
    await connection.close()

    assert set(_indexes(json.loads(plan)[0]["Plan"])) == {"run_duration"}


async def test_a_family_is_found_without_looking_at_every_run(world: World) -> None:
    connection = await connect(world.settings)
    await connection.execute(FILL)

    plan = await connection.fetchval(
        "explain (format json) " + queries()["view_run_family"], "order-7", 1_001
    )
    await connection.close()

    assert {"run_children", "run_pkey"} <= set(_indexes(json.loads(plan)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for below in plan.get("Plans", ()) for node in _nodes(below))]


def _indexes(plan: dict[str, Any]) -> list[str]:
    assert all(node["Node Type"] != "Seq Scan" for node in _nodes(plan)), plan
    return [node["Index Name"] for node in _nodes(plan) if "Index Name" in node]


#: Runs as they lie in a table that is in use: most have completed, few are open, fewer have failed.
FILL = """
insert into run (id, partition, workflow, fingerprint, status, created, updated, ended, start_id, input,
  failure, step_sequence, run_sequence, done, total, parent)
select 'order-' || i, 0, case when i % 5000 = 0 then 'rare' else 'order' end, 'f',
  case when i % 100 = 1 then 'waiting' when i % 100 = 2 then 'failed' else 'completed' end, i / 200, i / 200,
  case when i % 100 = 1 then null else 9 end, 's', '1', case when i % 100 = 2 then '1'::bytea end, 0, 0, 0, 1,
  case when i % 50 = 0 then 'order-' || i / 50 end
from generate_series(1, 20000) i;
analyze run
"""
