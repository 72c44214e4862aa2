"""E4, and E5 and E6 by filter: runs are found, counted, paged and told things, on a whole instance."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from instances import SECONDS, Instance, running
from waiting import eventually

from stream_durable import App, Context, RunCancelled, Workflow
from stream_durable.client import Member, RunFilter, RunHandle
from stream_durable.core.errors import RejectedError
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

leaf = Workflow("leaf")
leaf.wait_signal("go")
middle = Workflow("middle")
middle.child("leaf", leaf)
tree = Workflow("tree")
tree.child("left", middle)
tree.child("right", leaf)

told = Workflow("told")
go = told.wait_signal("go")


@told.step(after=go)
async def greet(ctx: Context, input: dict[str, Any]) -> str:
    return f"{ctx.get('greeting', 'hello')} {input['name']}"


app = App("lists", workflows=[tree, told])


async def stand(runs: list[RunHandle], status: str) -> None:
    """Wait until all of these runs have this status."""

    async def look() -> bool:
        return all([(await run.state()).status == status for run in runs])

    await eventually(look, f"all are {status}", seconds=SECONDS)


async def ids(instance: Instance, **conditions: Any) -> list[str]:
    listed = await instance.client.list(RunFilter(**conditions))
    count = await instance.client.count(RunFilter(**conditions))
    assert (count.found, count.is_exact) == (len(listed.runs), True)
    return [run.id for run in listed.runs]


async def test_found_by_whatever_they_have_in_common(settings: Settings) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    async with running(settings, app) as instance:
        client = instance.client
        runs = [
            await client.start(told, {"name": name}, id=f"told-{name}", tags=[name[0], "all"])
            for name in ("ann", "bob", "bea")
        ]
        await stand(runs, "waiting")
        parent = await client.start(tree, id="tree")
        leaves = ["tree//left//leaf", "tree//right"]

        async def grown() -> bool:
            return len((await parent.family()).first.children) == 2 and bool(
                await ids(instance, parent="tree//left")
            )

        await eventually(grown, "all children are there", seconds=SECONDS)
        await client.signal("told-bob", "go")
        assert await client.run("told-bob").result(timeout="30s") == "hello bob"

        told_ids = ["told-bea", "told-bob", "told-ann"]
        assert await ids(instance, workflow=told) == told_ids, "newest first"
        assert await ids(instance, workflow="told", status="waiting") == ["told-bea", "told-ann"]
        assert await ids(instance, workflow="told", status=["waiting", "completed"]) == told_ids
        assert await ids(instance, fingerprint=told.fingerprint) == told_ids
        assert await ids(instance, fingerprint="another") == []
        assert await ids(instance, tag="b") == ["told-bea", "told-bob"]
        assert await ids(instance, input_text='"name":"ann"') == ["told-ann"]
        assert await ids(instance, input_text="%") == [], "letter for letter"
        assert await ids(instance, created_since=before, workflow="told") == told_ids
        assert await ids(instance, created_before=before) == []
        assert await ids(instance, updated_since="1h", status="completed") == ["told-bob"]
        assert sorted(await ids(instance, parent="tree")) == ["tree//left", "tree//right"]
        assert await ids(instance, queue="slow") == []
        assert len(await ids(instance)) == 7

        pages, after = [], None
        while True:
            page = await client.list(limit=2, after=after)
            pages.append([run.id for run in page.runs])
            after = page.following
            if after is None:
                break
        assert [len(page) for page in pages] == [2, 2, 2, 1]
        assert len({run for page in pages for run in page}) == 7
        for options, words in [({"limit": 0}, "limit"), ({"after": "here"}, "no position in this list")]:
            with pytest.raises(RejectedError, match=words):
                await client.list(**options)  # type: ignore[arg-type]

        def shape(member: Member) -> Any:
            return {
                member.run.id: [shape(child) for child in sorted(member.children, key=lambda m: m.run.id)]
            }

        expected = {"tree": [{"tree//left": [{"tree//left//leaf": []}]}, {"tree//right": []}]}
        for member in ("tree", "tree//left", "tree//left//leaf"):
            family = await client.run(member).family()
            assert (shape(family.first), family.is_whole) == (expected, True)
        listed = (await parent.children()).runs
        assert {(run.id, run.parent, run.parent_step) for run in listed} == {
            ("tree//left", "tree", "left"), ("tree//right", "tree", "right"),
        }  # fmt: skip

        # E6: all of a workflow, by filter; children with their parents.
        assert await client.cancel_all(RunFilter(workflow=tree), "closing") == 1
        await stand([client.run(run) for run in ("tree", *leaves)], "cancelled")
        with pytest.raises(RunCancelled, match="closing"):
            await parent.result(timeout="30s")
        # E5: paused and resumed by filter, with context.
        heard: list[int] = []
        assert await client.pause_all(RunFilter(tag="all"), "audit", progress=heard.append) == 2
        assert heard == [2], "what has ended is left out"
        left = [client.run("told-ann"), client.run("told-bea")]
        await stand(left, "paused")
        for run in left:
            await client.signal(run.id, "go")
        assert await client.resume_all(RunFilter(status="paused"), context={"greeting": "hi"}) == 2
        assert [await run.result(timeout="30s") for run in left] == ["hi ann", "hi bea"]
        # C9: again with the same input.
        again = await left[0].start_again(id="again")
        await client.signal("again", "go")
        assert await again.result(timeout="30s") == "hello ann"
        assert (await again.state()).tags == ("a", "all")
