"""Bindings, and replays of past records, through the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_site import V1, Site, finish

from stream_durable import App, Workflow
from stream_durable.api.shown import plain
from stream_durable.client import Replayed
from stream_durable.testing.engine import Engine


@pytest.fixture
def site() -> Iterator[Site]:
    flow = Workflow("order")
    flow.add("take", lambda order: order["id"])
    app = App("shop", workflows=[flow])
    app.on(app.topic("orders"), start=flow, id="id", name="orders")
    app.on("placed", start=flow, id="data.id", name="placed")
    with Engine.memory() as engine:
        finish(engine.deploy_app(app))
        yield Site(engine)


def test_bindings_are_shown_paused_and_resumed(site: Site) -> None:
    finish(site.engine.deliver("orders", {"id": "a"}))
    site.post("/bindings/orders/pause", {"reason": "stock is counted"})
    finish(site.engine.deliver("orders", {"id": "b"}))
    [found] = site.get("/bindings")["bindings"]
    shown = {key: found[key] for key in ("makes", "target", "paths", "is_on", "reason", "off_by", "lag")}
    assert shown == {
        "makes": "start", "target": "order", "paths": {"id": "value.id", "input": "value"}, "is_on": False,
        "reason": "stock is counted", "off_by": "local", "lag": 1,
    }  # fmt: skip
    site.post("/bindings/orders/resume")
    found = site.get("/bindings/orders")
    assert (found["is_on"], found["lag"], found["partitions"][0]["position"]) == (True, 0, 2)
    assert [run.id for run in site.engine.runs] == ["a", "b"]


def test_past_records_are_counted_given_again_and_a_binding_is_deleted(site: Site) -> None:
    finish(site.engine.deliver("orders", {"id": "a"}))
    finish(site.engine.deliver("orders", b"garbage"))
    body = {"since": 0, "until": 2, "preview": True}
    found = site.post("/bindings/orders/replay", body)
    assert (found["records"], found["matched"], found["bad"], found["is_ordered"]) == (2, 2, 1, False)
    assert "not JSON" in found["reasons"][0]
    asked = site.post("/bindings/orders/replay", {"since": "2020-01-01T00:00:00Z"})
    finish(site.engine.until_idle())
    done = site.get(f"/operations/{asked['id']}")
    assert (done["act"], done["subject"], done["status"]) == ("replay", "binding orders", "completed")
    assert done["replayed"] == found | {"is_ordered": True}
    assert len(site.engine.runs) == 1
    asked = site.post("/bindings/orders/replay", {"since": 0, "partition": 99})
    finish(site.engine.until_idle())
    failed = site.get(f"/operations/{asked['id']}")
    assert failed["status"] == "failed" and "has no partition 99" in failed["error"]
    assert site.ask("DELETE", f"{V1}/bindings/orders").status_code == 202
    assert site.ask("GET", f"{V1}/bindings/orders").status_code == 404


def test_a_replay_of_events_is_an_operation_with_progress_and_a_stop(site: Site) -> None:
    site.post("/triggers/placed/pause")
    for n in range(5):
        site.post("/events", {"event": "placed", "key": "k", "data": {"id": f"o{n}"} if n else {}})
    finish(site.engine.until_idle())
    path, body = "/triggers/placed/replay", {"since": 0, "pace": "1h", "reason": "it was off"}
    assert site.ask("POST", f"{V1}/triggers/none/replay", json=body).status_code == 404
    assert site.ask("POST", V1 + path, json=body | {"pace": "soon"}).status_code == 400

    again = {"headers": {"Idempotency-Key": "once"}}
    asked = site.post(path, body, **again)
    assert (asked["act"], asked["subject"], asked["reason"]) == ("replay", "trigger placed", "it was off")
    finish(site.engine.advance("90m"))
    now = site.post(path, body, **again)
    assert (now["id"], now["status"], now["told"]) == (asked["id"], "running", now["replayed"]["records"])
    assert 0 < now["told"] < now["found"] and now["replayed"]["bad"] == 1
    assert [run.id for run in site.engine.runs] == ["o1", "o2"]
    hidden = plain(Replayed(**now["replayed"] | {"reasons": ("'tea' is no id",)}), may_see=False)
    assert hidden["reasons"] == ["hidden: 14 characters"]
    stopped = site.ask("DELETE", f"{V1}/operations/{asked['id']}").json()
    finish(site.engine.advance("1d"))
    assert stopped["status"] == "stopped" and len(site.engine.runs) == 2


def test_a_binding_is_let_go_past_the_record_at_which_it_stands(site: Site) -> None:
    strict = Workflow("strict")
    strict.add("take", lambda order: order["id"])
    app = App("other", workflows=[strict])
    app.on(app.topic("strict"), start=strict, id="id", name="strict", bad="stop")
    finish(site.engine.deploy_app(app))
    for value in ({"id": "a"}, b"garbage", {"id": "b"}):
        finish(site.engine.deliver("strict", value))
    path, body = "/bindings/strict/skip", {"partition": 0, "offset": 1, "reason": "a test"}
    assert "bindings skip strict" in site.get("/bindings/strict")["stopped"]
    assert site.ask("POST", V1 + path, json=body | {"offset": 2}).json()["code"] == "not_stopped"
    assert site.ask("POST", V1 + path, json={"partition": 0}).status_code == 422

    assert site.post(path, body)["is_ordered"] and not site.post(path, body)["is_ordered"]
    finish(site.engine.until_idle())
    found = site.get("/bindings/strict")
    assert (found["stopped"], found["bad_records"], found["lag"]) == ("", 1, 0)
    assert [(one["act"], one["by"], one["reason"]) for one in found["orders"]] == [
        ("skip", "local", "a test")
    ]
    assert [run.id for run in site.engine.runs] == ["a", "b"]
