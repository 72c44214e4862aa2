"""What is asked through the API, carried out by the engine in memory."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from api_flows import SECRET, fails, orders
from api_site import V1, Site, finish
from waiting import eventually

from stream_durable.api.operations import Operations, Reached
from stream_durable.testing.engine import Engine


@pytest.fixture
def site() -> Iterator[Site]:
    with Engine.memory() as engine:
        engine.deploy(orders, fails)
        yield Site(engine)


def started(site: Site, run: str = "order-1", **more: Any) -> str:
    site.post("/runs", {"workflow": "order", "id": run, "input": {"id": 1}, **more})
    finish(site.engine.until_asked(site.engine.run(run), "approve"))
    return run


def test_a_run_is_started_answered_and_signalled_to_its_end(site: Site) -> None:
    run = started(site, tags=["vip"], metadata={"shop": "north"}, priority=3)
    site.post(f"/inputs/{run}/approve/claim")
    site.post(f"/inputs/{run}/approve/comment", {"text": "looks fine"})
    site.post(f"/inputs/{run}/approve/assign", {"to": "bob", "comment": "yours"})
    site.post(f"/inputs/{run}/approve/answer", {"answer": True, "comment": "go"})
    site.post(f"/runs/{run}/signals/payment", {"data": {"amount": 5}})
    found = site.get(f"/runs/{run}/result?wait=30")
    assert (found["status"], found["output"]["tracking"]) == ("completed", "walrus-4711")
    changes = site.get(f"/inputs/{run}/approve")["changes"]
    assert [(one["kind"], one["by"]) for one in changes] == [
        ("claimed", "local"), ("commented", "local"), ("assigned", "local"), ("answered", "local"),
    ]  # fmt: skip


def test_a_start_with_a_key_that_is_repeated_is_one_run(site: Site) -> None:
    body, key = {"workflow": "order", "input": {"id": 1}}, {"Idempotency-Key": "a"}
    first, again = (site.ask("POST", f"{V1}/runs", json=body, headers=key) for _ in range(2))
    other = site.post("/runs", body, headers={"Idempotency-Key": "b"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"] != other["id"]
    assert len(site.get("/runs")["runs"]) == 2


def test_a_signal_with_a_key_that_is_repeated_counts_once(site: Site) -> None:
    run = started(site)
    sent = [
        site.post(f"/runs/{run}/signals/payment", {"data": n}, headers={"Idempotency-Key": "a"})
        for n in range(2)
    ]
    assert sent[0] == sent[1]
    kept = [one for one in site.get(f"/runs/{run}/history")["happenings"] if one["what"] == "kept"]
    assert len(kept) == 1


def test_a_run_is_paused_resumed_and_cancelled_with_a_reason(site: Site) -> None:
    run = started(site)
    order = site.post(f"/runs/{run}/pause", {"reason": "stock take"})
    finish(site.engine.until_idle())
    pause = site.get(f"/runs/{run}")["requests"]["pause"]
    assert (pause["id"], pause["reason"], pause["by"]) == (order["id"], "stock take", "local")
    site.post(f"/runs/{run}/resume", {"context": {"counted": True}})
    finish(site.engine.until_idle())
    assert site.get(f"/runs/{run}")["context"]["counted"] is True
    site.post(f"/runs/{run}/cancel", {"reason": "no stock"})
    assert site.get(f"/runs/{run}/result?wait=30")["status"] == "cancelled"
    assert site.get(f"/runs/{run}")["requests"]["cancel"]["reason"] == "no stock"


def test_a_failed_run_is_retried_and_a_step_skipped(site: Site) -> None:
    site.post("/runs", {"workflow": "fails", "id": "f"})
    assert site.get("/runs/f/result?wait=30")["status"] == "failed"
    site.post("/runs/f/retry", {"step": "explode"})
    assert site.get("/runs/f/result?wait=30")["status"] == "failed"
    assert len(site.get("/runs/f/attempts")["attempts"]) == 2
    run = started(site)
    site.post(f"/runs/{run}/steps/approve/skip", {"reason": "nobody here"})
    finish(site.engine.until_idle())
    steps = {step["name"]: step["status"] for step in site.get(f"/runs/{run}")["steps"]}
    assert steps["approve"] == "skipped"
    site.post(f"/runs/{run}/steps/paid/cancel")
    assert site.get(f"/runs/{run}/result?wait=30")["status"] == "cancelled"
    again = site.post(f"/runs/{run}/start-again")
    assert again["created"]
    assert site.get(f"/runs/{again['id']}")["input"] == {"id": 1}


def test_a_run_is_started_again_with_another_input_and_all_else(site: Site) -> None:
    run = started(site, tags=["vip"], metadata={"shop": "north"}, timeout="9d")
    again = site.post(f"/runs/{run}/start-again", {"input": {"id": 2}, "id": "order-2"})
    assert again == {"id": "order-2", "created": True}
    finish(site.engine.until_asked(site.engine.run("order-2"), "approve"))
    shown = site.get("/runs/order-2")
    assert (shown["input"], shown["tags"], shown["metadata"]) == ({"id": 2}, ["vip"], {"shop": "north"})
    assert shown["due"] is not None
    assert not site.post(f"/runs/{run}/start-again", {"input": {"id": 2}, "id": "order-2"})["created"]
    site.post(f"/runs/{run}/start-again", {"input": None, "id": "empty"})
    assert site.get("/runs/empty")["input"] is None


def test_all_matching_runs_are_counted_and_then_cancelled_by_an_operation(site: Site) -> None:
    for n in range(3):
        started(site, f"order-{n}")
    which = {"act": "cancel", "filter": {"workflow": "order"}, "reason": "closing"}
    assert site.post("/operations", which | {"dry_run": True}) == {"found": 3, "is_exact": True}
    operation = site.post("/operations", which)
    assert operation["found"] == 3
    finish(site.engine.until_idle())
    done = site.get(f"/operations/{operation['id']}")
    assert (done["status"], done["told"], done["reason"], done["by"]) == ("completed", 3, "closing", "local")
    assert site.get("/runs/statuses")["counts"] == {"cancelled": 3}
    assert site.ask("DELETE", f"{V1}/operations/{operation['id']}").json()["status"] == "completed"


def test_a_step_of_all_matching_runs_is_skipped_by_an_operation(site: Site) -> None:
    for n in range(2):
        started(site, f"order-{n}")
    finish(site.engine.until_asked(site.engine.run("order-1"), "approve"))
    which = {"act": "skip", "filter": {"workflow": "order"}, "step": "approve", "reason": "by phone"}
    assert site.post("/operations", which | {"dry_run": True}) == {"found": 2, "is_exact": True}
    assert site.post("/operations", which | {"step": "none", "dry_run": True})["found"] == 0
    assert site.post("/operations", which | {"step": None, "dry_run": True})["found"] == 0
    operation = site.post("/operations", which)
    finish(site.engine.until_idle())
    done = site.get(f"/operations/{operation['id']}")
    assert (done["act"], done["status"], done["told"], done["found"]) == ("skip", "completed", 2, 2)
    (approve,) = [step for step in site.get("/runs/order-0")["steps"] if step["name"] == "approve"]
    assert approve["status"] == "skipped"

    refused = site.ask("POST", f"{V1}/operations", json={"act": "complete", "filter": {}})
    assert (refused.status_code, refused.json()["code"]) == (400, "contradiction")
    undone = {"act": "cancel", "filter": {"workflow": "order"}, "compensate": True}
    assert site.post("/operations", undone)["found"] == 2
    finish(site.engine.until_idle())
    assert site.get("/runs/statuses")["counts"] == {"cancelled": 2}


async def test_an_operation_that_raises_whatever_ends_as_failed() -> None:
    operations = Operations()

    async def act(progress: Callable[[Reached], None]) -> Reached:
        progress(1)
        raise KeyError("a bug")

    begun = operations.begin("cancel", act, found=2, is_exact=True, by="ada", reason="")

    async def failed() -> bool:
        return operations.state(begun.id).status == "failed"

    await eventually(failed, "the operation has failed", seconds=10)
    found = operations.state(begun.id)
    assert (found.told, found.ended is None) == (1, False) and "raised KeyError" in (found.error or "")


def test_what_is_there_before_the_end_is_returned_and_the_rest_is_to_come(site: Site) -> None:
    run = started(site)
    early = f"/runs/{run}/steps/reserve/output"
    assert site.get(early)["value"]["items"] == ["book"]
    assert site.get(f"/runs/{run}/value?path=reserve.items.0")["value"] == "book"
    assert site.get(f"/runs/{run}/value?path=context.parcel&wait=1")["value"] == {"note": SECRET}
    answer = site.ask("GET", f"{V1}/runs/{run}/steps/ship/output")
    assert (answer.status_code, answer.json()["is_there"]) == (202, False)
    assert site.ask("GET", f"{V1}/runs/{run}/steps/nothing/output").status_code == 404
    assert site.ask("GET", f"{V1}/runs/{run}/value?path=.").json()["code"] == "bad_path"
    site.post("/runs", {"workflow": "fails", "id": "f"})
    found = site.get("/runs/f/steps/explode/output?wait=30")
    assert (found["is_there"], found["status"]) == (False, "failed")
    assert SECRET in found["failure"]["message"]


def test_a_run_is_asked_and_answers_once_and_may_be_started_first(site: Site) -> None:
    body = {"data": 3, "workflow": "order", "input": {"id": 1}, "id": "mail-1"}
    first, again = (site.post("/runs/order-1/ask/quote", body | {"data": n}) for n in (3, 4))
    assert (first["is_there"], first["status"], first["value"]) == (True, "completed", 6)
    assert again == first
    refused = site.post("/runs/order-1/ask/quote", {"data": -1})
    assert (refused["is_there"], refused["failure"]["code"]) == (False, "no_items")
    unknown = site.ask("POST", f"{V1}/runs/order-1/ask/price", json={})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_answer")
    keyed = [
        site.post("/runs/order-1/ask/quote", {"data": n}, headers={"Idempotency-Key": "a"})["value"]
        for n in (5, 6)
    ]
    assert keyed == [10, 10]


def test_a_start_brings_attributes_and_a_signal(site: Site) -> None:
    due = {"moment": "2030-01-31T09:00:00Z"}
    run = started(
        site, attributes={"region": "EU", "due": due}, signal="payment", signal_data={"amount": 5},
        signal_ttl="1h",
    )  # fmt: skip
    assert site.get(f"/runs/{run}")["attributes"] == {"region": "EU", "due": "2030-01-31T09:00:00Z"}
    [kept] = [one for one in site.get(f"/runs/{run}/history")["happenings"] if one["what"] == "kept"]
    assert (kept["by"], kept["text"]) == ("local", "signal payment")
    finish(site.engine.advance("61m"))
    found = site.get(f"/runs/{run}/history?evidence=true")["happenings"]
    assert ("expired", "local") in {(one["what"], one["by"]) for one in found}
    bad = {"workflow": "order", "input": {"id": 1}, "attributes": {"due": {"moment": "noon"}}}
    assert site.ask("POST", f"{V1}/runs", json=bad).json()["code"] == "bad_attribute"


def test_many_questions_are_answered_together(site: Site) -> None:
    for n in range(2):
        started(site, f"order-{n}")
    found = site.post("/inputs/answers", {"filter": {"wait": "approve"}, "answer": False, "comment": "no"})
    assert found == {"answered": 2}
    finish(site.engine.until_idle())
    assert site.get("/inputs")["inputs"] == []


def test_a_wrong_answer_is_refused_and_names_the_cause(site: Site) -> None:
    run = started(site)
    answer = site.ask("POST", f"{V1}/inputs/{run}/approve/answer", json={"answer": "perhaps"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_answer")


def test_an_event_is_published_kept_and_planned(site: Site) -> None:
    later = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    site.post("/events", {"event": "stock", "key": "book", "data": {"left": 3}, "id": "e1"})
    site.post("/events", {"event": "stock", "key": "pen", "at": later})
    finish(site.engine.until_idle())
    kept = site.get("/events?event=stock")["events"]
    assert [(one["key"], one["data"], one["by"]) for one in kept] == [("book", {"left": 3}, "local")]
    planned = site.get("/later")["messages"]
    assert [one["key"] for one in planned] == ["pen"]
    assert site.ask("DELETE", f"{V1}/later/{quote(planned[0]['id'], safe='')}").status_code == 202
    finish(site.engine.until_idle())
    assert site.get("/later")["messages"] == []
    answer = site.ask("POST", f"{V1}/events", json={"event": "stock"})
    assert (answer.status_code, answer.json()["code"]) == (400, "no_key")


def test_a_schedule_goes_through_its_life(site: Site) -> None:
    site.post("/schedules", {"name": "nightly", "workflow": "fails", "cron": ["0 3 * * *"]})
    finish(site.engine.until_idle())
    assert site.get("/schedules")["schedules"][0]["rule"] == "cron 0 3 * * *"
    site.post("/schedules/nightly/pause", {"reason": "holidays"})
    finish(site.engine.until_idle())
    off = site.get("/schedules/nightly")
    assert (off["is_on"], off["reason"], off["off_by"]) == (False, "holidays", "local")
    site.post("/schedules/nightly/resume", {"reason": "back"})
    assert site.ask("PATCH", f"{V1}/schedules/nightly", json={"every": "2h"}).status_code == 202
    finish(site.engine.until_idle())
    changed = site.get("/schedules/nightly")
    assert (changed["is_on"], changed["is_changed"]) == (True, True)
    said = {one["act"]: (one["by"], one["reason"]) for one in changed["orders"]}
    assert said["resume"] == ("local", "back") and said["change"] == ("local", "")
    key = {"Idempotency-Key": "now"}
    runs = {site.post("/schedules/nightly/trigger", headers=key)["run"] for _ in range(2)}
    assert len(runs) == 1
    shown = {"since": "2020-01-01T00:00:00Z", "until": "2020-01-01T06:00:00Z", "preview": True}
    assert site.post("/schedules/nightly/backfill", shown)["is_ordered"] is False
    assert site.ask("DELETE", f"{V1}/schedules/nightly").status_code == 202
    finish(site.engine.until_idle())
    assert site.get("/schedules")["schedules"] == []
