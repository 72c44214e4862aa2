"""Bindings through the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_site import V1, Site, finish

from stream_durable import App, Workflow
from stream_durable.testing.engine import Engine


@pytest.fixture
def site() -> Iterator[Site]:
    flow = Workflow("order")
    flow.add("take", lambda order: order["id"])
    app = App("shop", workflows=[flow])
    app.on(app.topic("orders"), start=flow, id="id", name="orders")
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
    assert site.post("/bindings/orders/replay", {"since": "2020-01-01T00:00:00Z"})["is_ordered"]
    assert len(site.engine.runs) == 1
    assert site.ask("DELETE", f"{V1}/bindings/orders").status_code == 202
    assert site.ask("GET", f"{V1}/bindings/orders").status_code == 404
