"""Records that could not be applied, listed, shown and given again: in memory and on Postgres and Kafka."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

import pytest
from waiting import eventually

from stream_durable import App, Workflow
from stream_durable.client import DeadFilter, DeadRecord
from stream_durable.core.errors import RejectedError
from stream_durable.sdk.topic import Topic
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


def twice(name: str = "order") -> Workflow[Any, Any]:
    """Return a workflow that a signal brings on by one step each time that it is applied."""
    flow = Workflow[Any, Any](name)
    first = flow.wait_signal("first", any_of=["go"])
    flow.wait_signal("second", any_of=["go"], after=first)
    return flow


async def dead(engine: Engine, count: int, **which: Any) -> tuple[DeadRecord, ...]:
    async def look() -> tuple[DeadRecord, ...]:
        found = (await engine.dead_records(DeadFilter(**which))).records
        return found if len(found) == count else ()

    return await eventually(look, f"{count} dead records", seconds=30)


async def test_a_record_is_listed_shown_given_again_and_applied_once(engine: Engine) -> None:
    flow = twice()
    engine.deploy(flow)
    await engine.signal("o1", "go", {"n": 1}, id="s1")
    [found] = await dead(engine, 1)
    assert (found.topic, found.code, found.key, found.redriven) == ("inbox", "unknown_run", "o1", None)
    whole = await engine.dead_record(found.id)
    assert whole.record == found and whole.can_redrive
    assert whole.value is not None and '"n":1' in whole.value

    run = await engine.start(flow, id="o1")
    told = await engine.redrive_record(found.id, reason="it is there by now", by="ann")
    assert told.is_ordered
    await engine.until_idle()
    [marked] = await dead(engine, 1, redriven=True)
    assert marked.redriven is not None and (marked.redriven.by, marked.redriven.reason) == (
        "ann", "it is there by now",
    )  # fmt: skip
    assert not (await engine.redrive_record(found.id, by="bob")).is_ordered
    # As after a crash before the mark was written.
    engine.ports.catalogue.declared.redriven.clear()
    assert (await engine.redrive_record(found.id, by="bob")).is_ordered
    await engine.until_idle()

    assert {name: one.status for name, one in run.state.steps.items()} == {
        "first": "completed",
        "second": "waiting",
    }
    assert len(await dead(engine, 1)) == 1


async def test_many_are_given_again_in_order_and_what_still_fails_is_new(engine: Engine) -> None:
    flow = twice()
    engine.deploy(flow)
    for n in range(3):
        await engine.signal(f"o{n}", "go", id=f"s{n}")
        await engine.signal(f"o{n}", "go", id=f"t{n}")
    await dead(engine, 6)
    for n in range(2):
        await engine.start(flow, id=f"o{n}")
    before = await engine.redrive_records(DeadFilter(code="unknown_run"), preview=True)
    assert (before.records, before.told) == (6, 6)

    done = await engine.redrive_records(DeadFilter(code="unknown_run"), by="ann", reason="they are there")
    assert (done.told, done.refused) == (6, 0)
    await engine.until_idle()
    assert {run.id: run.status for run in engine.runs} == {"o0": "completed", "o1": "completed"}
    still = await dead(engine, 2, redriven=False)
    assert {one.key for one in still} == {"o2"}
    assert {one.redriven.by for one in await dead(engine, 6, redriven=True) if one.redriven} == {"ann"}


async def test_a_record_of_others_goes_to_its_binding_once_it_is_corrected(engine: Engine) -> None:
    flow = twice()
    topic = Topic[Any](f"orders-{token_hex(4)}")

    def app(path: str) -> App:
        made = App("shop", workflows=[flow])
        made.on(topic, start=flow, id=path, name="orders")
        return made

    await engine.deploy_app(app("id"))
    await engine.deliver(topic, {"number": "a"}, key="k", headers={"theirs": "h"})
    [found] = await dead(engine, 1, topic=topic.name)
    assert (found.code, found.key) == ("path_missing", "k")
    assert ("theirs", "h") in (await engine.dead_record(found.id)).headers
    with pytest.raises(RejectedError, match="path_missing") as refused:
        await engine.redrive_record(found.id)
    assert refused.value.code == "not_redrivable"

    await engine.deploy_app(app("number"))
    assert (await engine.redrive_record(found.id)).is_ordered
    assert not (await engine.redrive_record(found.id)).is_ordered
    await engine.until_idle()
    assert [run.id for run in engine.runs] == ["a"]


async def test_ids_of_no_record_are_refused(engine: Engine) -> None:
    for wrong in ("0-0", "0-7", "99-0", "x"):
        with pytest.raises(RejectedError, match="records list") as refused:
            await engine.redrive_record(wrong)
        assert refused.value.code == "unknown_record"
