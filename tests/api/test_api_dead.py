"""Records that could not be applied over HTTP: filters, one whole, a redrive, and what is hidden."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_site import V1, Site, finish

from stream_durable import Workflow, api_tokens
from stream_durable.local.process import wait_for
from stream_durable.ports import StoredApiToken
from stream_durable.testing.engine import Engine


@pytest.fixture
def site() -> Iterator[Site]:
    flow = Workflow("order")
    flow.wait_signal("go")
    with Engine.memory() as engine:
        engine.deploy(flow)
        site = Site(engine)
        for name in ("a", "b"):
            finish(engine.signal(name, "go", {"secret": name}))
        yield site


def test_records_are_found_shown_and_given_again_once(site: Site) -> None:
    assert len(site.get("/dead")["records"]) == 2
    assert site.get("/dead?code=unreadable")["records"] == []
    assert site.get("/dead?since=1h&redriven=true")["records"] == []
    [found] = site.get("/dead?key=a&topic=inbox&reason=no%20run")["records"]
    whole = site.get(f"/dead/{found['id']}")
    assert whole | found == whole
    assert (whole["headers"], whole["can_redrive"], whole["redriven"]) == ([], True, None)
    assert '"secret":"a"' in whole["value"] and "records redrive" in whole["remedy"]

    site.post("/runs", {"workflow": "order", "id": "a"})
    told = site.post(f"/dead/{found['id']}/redrive", {"reason": "it is there"})
    assert told == {"id": found["id"], "topic": "inbox", "is_ordered": True}
    assert site.engine.run("a").status == "completed"
    mark = site.get(f"/dead/{found['id']}")["redriven"]
    assert (mark["act"], mark["by"], mark["reason"]) == ("redrive", "local", "it is there")
    assert not site.post(f"/dead/{found['id']}/redrive")["is_ordered"]


def test_a_record_that_cannot_be_given_again_is_a_conflict(site: Site) -> None:
    site.engine._backend._deployment.broker.append("inbox", None, b"a", b"garbage")  # type: ignore[attr-defined]
    finish(site.engine.until_idle())
    [found] = site.get("/dead?code=unreadable")["records"]
    answer = site.ask("POST", f"{V1}/dead/{found['id']}/redrive", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_redrivable")


def test_who_may_not_see_payloads_gets_sizes_and_no_search(site: Site) -> None:
    token = StoredApiToken("blind", "admin", False, site.engine.now_ms, None, None)  # noqa: FBT003
    secret = site.engine.tell(lambda: api_tokens.create(site.tokens, token))
    headers = {"Authorization": f"Bearer {secret}"}
    found = site.get("/dead?key=a", headers=headers)["records"][0]
    whole = site.get(f"/dead/{found['id']}", headers=headers)
    assert found["reason"].startswith("hidden: ") and whole["value"].startswith("hidden: ")
    assert site.ask("GET", f"{V1}/dead?reason=x", headers=headers).status_code == 403
    many = {"filter": {"reason": "x"}}
    assert site.ask("POST", f"{V1}/dead/redrive", json=many, headers=headers).status_code == 403
    site.engine._backend._deployment.broker.append(  # type: ignore[attr-defined]
        "inbox", None, b"c", b'{"type":"secret","key":"c"}'
    )
    finish(site.engine.until_idle())
    [bad] = site.get("/dead?key=c", headers=headers)["records"]
    refused = site.ask("POST", f"{V1}/dead/{bad['id']}/redrive", json={}, headers=headers)
    assert refused.status_code == 409 and "secret" not in refused.text
    assert "secret" in site.ask("POST", f"{V1}/dead/{bad['id']}/redrive", json={}).text
    counted = site.post("/dead/redrive", {"filter": {}, "preview": True}, headers=headers)
    assert counted["refused"] == 1 and counted["reasons"][0].startswith("hidden: ")


def test_viewers_give_nothing_again(site: Site) -> None:
    token = StoredApiToken("viewer", "viewer", True, site.engine.now_ms, None, None)  # noqa: FBT003
    secret = site.engine.tell(lambda: api_tokens.create(site.tokens, token))
    headers = {"Authorization": f"Bearer {secret}"}
    [found] = site.get("/dead?key=a", headers=headers)["records"]
    for path, body in ((f"/dead/{found['id']}/redrive", {}), ("/dead/redrive", {"filter": {}})):
        assert site.ask("POST", f"{V1}{path}", json=body, headers=headers).status_code == 403
    assert site.get(f"/dead/{found['id']}")["redriven"] is None


def test_many_are_given_again_by_an_operation(site: Site) -> None:
    site.post("/runs", {"workflow": "order", "id": "a"})
    chosen = {"filter": {"code": "unknown_run", "topic": "inbox", "since": "1h"}, "reason": "it is there"}
    counted = site.post("/dead/redrive", chosen | {"preview": True})
    assert (counted["records"], counted["told"]) == (2, 2)
    begun = site.post("/dead/redrive", chosen | {"at_most": 10})
    assert (begun["act"], begun["subject"], begun["found"]) == ("redrive", "dead records", 10)

    def ended() -> bool:
        return bool(site.get(f"/operations/{begun['id']}")["status"] == "completed")

    wait_for(ended, seconds=30, what="the operation ends")
    assert site.get(f"/operations/{begun['id']}")["told"] == 2
    assert site.engine.run("a").status == "completed"
    given = site.get("/dead?redriven=true")["records"]
    assert {one["redriven"]["reason"] for one in given} == {"it is there"} and len(given) == 2
