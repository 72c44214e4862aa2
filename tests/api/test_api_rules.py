"""Lists by attributes, decisions about held steps, triggers, gates, queues and attention, over HTTP."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from api_flows import fails, orders
from api_site import V1, Site, finish

from stream_durable import App, Breaker, Debounce, Gate, Retry, Single, Workflow
from stream_durable.api.shown import plain
from stream_durable.testing.engine import Engine

held = Workflow("held")


@held.step(on_error="hold")
async def charge() -> int:
    raise ValueError("no card")


away = Workflow("away")


@away.step(breaker=Breaker("bank", failures=1, reset="1d"), retry=Retry(9, backoff="fixed", base="1s"))
async def call() -> None:
    raise ConnectionError("no answer")


narrow = Workflow("narrow", gate=Gate("door", at_once=1))


@narrow.step
async def linger() -> None:
    await asyncio.sleep(60)


mails = Workflow("mail", starts=Debounce(key="input.to", quiet="30s", cap="1m"))
mails.add("send", lambda: "sent")

turns = Workflow("turns", starts=Single())
turns.wait_signal("go")


@pytest.fixture
def site() -> Iterator[Site]:
    with Engine.memory() as engine:
        engine.deploy(orders, fails, held, away, narrow, mails, turns)
        site = Site(engine)
        yield site
        site.close()


def said(shown: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["act"], one["by"], one["reason"]) for one in shown["orders"]]


def refused(site: Site, path: str, body: Any = None) -> tuple[int, str]:
    answer = site.ask("POST", V1 + path, json=body or {})
    return answer.status_code, answer.json()["code"]


def test_lists_filter_and_sort_by_attributes_and_show_them(site: Site) -> None:
    for number in range(3):
        given = {"amount": number, "region": "north"}
        site.post("/runs", {"workflow": "held", "id": f"held-{number}", "attributes": given})
    site.post("/runs", {"workflow": "held", "id": "plain"})
    finish(site.engine.until_idle())
    found = site.get("/runs?attributes=amount>=1&attributes=region=north&sort=-amount&id_prefix=held")
    assert [(one["id"], one["attributes"]["amount"]) for one in found["runs"]] == [
        ("held-2", 2),
        ("held-1", 1),
    ]
    page = site.get("/runs?sort=amount&limit=2")
    assert [one["id"] for one in page["runs"]] == ["held-0", "held-1"]
    rest = site.get(f"/runs?sort=amount&limit=2&after={page['following']}")
    assert [one["id"] for one in rest["runs"]] == ["held-2"]
    assert site.get("/runs/count?attribute_text=nort")["found"] == 3
    assert site.get("/runs/count?trigger=schedule")["found"] == 0
    assert site.ask("GET", f"{V1}/runs?attributes=amount").json()["code"] == "bad_where"


@pytest.mark.parametrize(
    ("act", "body", "status"),
    [("complete", {"output": 3}, "completed"), ("fail", {}, "failed"), ("skip", {}, "completed"),
     ("cancel", {}, "cancelled")],
)  # fmt: skip
def test_a_person_decides_about_a_held_step_with_a_reason(
    site: Site, act: str, body: dict[str, Any], status: str
) -> None:
    site.post("/runs", {"workflow": "held", "id": "r"})
    finish(site.engine.until_idle())
    assert [one["id"] for one in site.get("/runs?needs_review=true")["runs"]] == ["r"]
    site.post(f"/runs/r/steps/charge/{act}", {"reason": "by phone", **body})
    assert site.get("/runs/r/result?wait=30")["status"] == status
    (review,) = site.get("/runs/r")["steps"][0]["reviews"]
    assert (review["decision"], review["by"], review["reason"]) == (act, "local", "by phone")


def test_a_person_changes_a_held_run(site: Site) -> None:
    site.post("/runs", {"workflow": "held", "id": "r", "input": {"card": 1}})
    finish(site.engine.until_idle())
    key = {"Idempotency-Key": "one"}
    body = {"input": {"card": 2}, "context": {"order.account": "DE1"}, "step": "charge", "attempts": 3,
            "timeout": "2m", "reason": "by phone"}  # fmt: skip
    made = {site.post("/runs/r/change", body, headers=key)["id"] for _ in range(2)}
    finish(site.engine.until_idle())
    found = site.get("/runs/r")
    [change] = found["changes"]
    assert {change["id"]} == made and (change["by"], change["reason"]) == ("local", "by phone")
    assert (change["before"]["input"], change["after"]["input"]) == ({"card": 1}, {"card": 2})
    assert (found["input"], found["context"]) == ({"card": 2}, {"order": {"account": "DE1"}})
    site.post(
        "/runs/r/change", {"step": "charge", "retry": {"attempts": 2, "backoff": "fixed", "base": "9s"}}
    )
    finish(site.engine.until_idle())
    assert site.get("/runs/r")["changes"][1]["after"]["retry"]["base_ms"] == 9_000
    assert refused(site, "/runs/r/change") == (400, "nothing_to_change")
    assert refused(site, "/runs/r/change", {"attempts": 3}) == (400, "no_step")
    assert refused(site, "/runs/nobody/change", body) == (404, "unknown_run")
    hidden = plain(site.engine.run("r").state.changes[0], may_see=False)
    assert (hidden["by"], hidden["after"]["hidden"]) == ("local", "object") and "card" not in str(hidden)
    site.post("/runs/r/steps/charge/skip")
    finish(site.engine.until_idle())
    assert refused(site, "/runs/r/change", body) == (409, "not_held")


def test_a_failed_run_is_marked_as_reviewed_once_with_who_and_why(site: Site) -> None:
    site.post("/runs", {"workflow": "held", "id": "r"})
    finish(site.engine.until_idle())
    assert refused(site, "/runs/r/review", {"reason": "early"}) == (409, "not_failed")
    site.post("/runs/r/steps/charge/fail", {})
    finish(site.engine.until_idle())
    assert [one["id"] for one in site.get("/runs?reviewed=false")["runs"]] == ["r"]
    key = {"Idempotency-Key": "one"}
    made = {site.post("/runs/r/review", {"reason": "paid by hand"}, headers=key)["id"] for _ in range(2)}
    finish(site.engine.until_idle())
    mark = site.get("/runs/r")["reviewed"]
    assert {mark["id"]} == made and (mark["by"], mark["reason"]) == ("local", "paid by hand")
    assert site.get("/runs?reviewed=false")["runs"] == []
    assert refused(site, "/runs/nobody/review", {}) == (404, "unknown_run")


def test_a_request_that_is_repeated_with_its_key_counts_once(site: Site) -> None:
    site.post("/runs", {"workflow": "held", "id": "r"})
    finish(site.engine.until_idle())
    key = {"Idempotency-Key": "one"}
    retries = {site.post("/runs/r/retry", {"reason": "again"}, headers=key)["id"] for _ in range(2)}
    finish(site.engine.until_idle())
    assert len(retries) == 1
    assert len(site.get("/runs/r/attempts")["attempts"]) == 2
    pauses = {site.post("/runs/r/pause", headers=key)["id"] for _ in range(2)}
    resumed = {site.post("/runs/r/resume", {"reason": "enough"}, headers=key)["id"] for _ in range(2)}
    finish(site.engine.until_idle())
    assert (len(pauses), len(resumed)) == (1, 1)
    resume = site.get("/runs/r")["requests"]["resume"]
    assert (resume["by"], resume["reason"]) == ("local", "enough")


def test_a_trigger_goes_through_its_life(site: Site) -> None:
    app = App("shop", workflows=[fails])
    app.on("order.created", start=fails)
    finish(site.engine.deploy_app(app))
    (trigger,) = site.get("/triggers")["triggers"]
    name = trigger["name"]
    assert (trigger["event"], trigger["workflow"], trigger["is_on"]) == ("order.created", "fails", True)
    site.post(f"/triggers/{name}/pause", {"reason": "stock take"})
    off = site.get(f"/triggers/{name}")
    assert (off["is_on"], off["reason"], off["off_by"]) == (False, "stock take", "local")
    site.post(f"/triggers/{name}/resume", {"reason": "counted"})
    on = site.get(f"/triggers/{name}")
    assert on["is_on"] and ("resume", "local", "counted") in said(on)
    assert site.ask("DELETE", f"{V1}/triggers/{name}").status_code == 202
    assert site.get("/triggers") == {"triggers": []}
    assert refused(site, f"/triggers/{name}/pause") == (404, "unknown_trigger")


def test_a_breaker_is_probed_and_a_gate_changed(site: Site) -> None:
    site.post("/runs", {"workflow": "away", "id": "a"})
    finish(site.engine.advance("10s"))
    assert site.get("/gates/bank")["state"] == "open"
    site.post("/gates/bank/probe", {"reason": "they called"})
    finish(site.engine.advance("10s"))
    assert len(site.get("/runs/a/attempts")["attempts"]) == 2
    assert said(site.get("/gates/bank")) == [("probe", "local", "they called")]
    assert refused(site, "/gates/mail/probe") == (404, "unknown_gate")
    answer = site.ask("PATCH", f"{V1}/gates/mail", json={"at_once": 2})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_gate")
    assert (
        site.ask(
            "PATCH", f"{V1}/gates/crm", json={"key": "acme", "rate": "2/1s", "reason": "slow"}
        ).status_code
        == 202
    )
    finish(site.engine.until_idle())
    assert said(site.get("/gates/crm?key=acme")) == [("set", "local", "slow")]
    site.post("/gates/crm/reset", {"key": "acme"})
    assert site.ask("PATCH", f"{V1}/gates/crm", json={"key": "acme"}).json()["code"] == "bad_gate"
    changed = {"all_keys": True, "at_once": 2, "reason": "sale"}
    assert site.ask("PATCH", f"{V1}/gates/crm", json=changed).status_code == 202
    assert ("set all keys", "local", "sale") in said(site.get("/gates/crm?key=acme"))
    site.post("/gates/crm/reset", {"all_keys": True})
    assert site.ask("PATCH", f"{V1}/gates/crm", json=changed | {"key": "acme"}).json()["code"] == "bad_gate"
    assert refused(site, "/gates/bank/reset", {"all_keys": True}) == (404, "unknown_gate")


def test_a_queue_is_drained_and_resumed(site: Site) -> None:
    drained = site.post("/queues/default/drain", {"reason": "new machine"})
    assert drained == {"is_drained": True, "running": 0}
    (queue,) = [one for one in site.get("/queues")["queues"] if one["name"] == "default"]
    assert (queue["paused"]["by"], queue["paused"]["reason"]) == ("local", "new machine")
    site.post("/queues/default/resume", {"reason": "it works"})
    (queue,) = [one for one in site.get("/queues")["queues"] if one["name"] == "default"]
    assert queue["paused"] is None and said(queue) == [("resume", "local", "it works")]


def test_what_needs_a_person_is_grouped_by_cause(site: Site) -> None:
    for number in range(3):
        site.post("/runs", {"workflow": "fails", "id": f"fails-{number}"})
    finish(site.engine.until_idle())
    found = site.get("/attention?since=1d&zone=Europe/Berlin")
    (need,) = [one for one in found["needs"] if one["code"] == "failed"]
    assert (need["affected"], need["word"], found["is_whole"]) == (3, "Needs review", True)
    assert need["evidence"]["step"] == "explode"
    alike = f"/runs?workflow=fails&failed_step=explode&failure_code={need['evidence']['code']}"
    assert len(site.get(alike)["runs"]) == 3
    assert site.get("/runs?failed_step=")["runs"] == []
    flow = site.get("/flow?since=10m&count=5")
    assert (flow["width"], flow["is_exact"], len(flow["stretches"])) == (120_000, True, 5)
    assert [flow["stretches"][-1][name] for name in ("created", "failed")] == [3, 3]
    assert site.ask("GET", f"{V1}/attention?zone=Nowhere").json()["code"] == "bad_zone"


def test_a_gate_is_shown_with_its_limits_and_whom_it_holds_and_is_no_trouble(site: Site) -> None:
    for run in ("one", "two"):
        site.post("/runs", {"workflow": "narrow", "id": run})
        finish(site.engine.advance("1s"))

    [listed] = site.get("/gates")["gates"]
    assert (listed["id"], listed["kind"], listed["state"], listed["limits"]) == (
        "door//", "gate", "full", "1 at once",
    )  # fmt: skip
    assert (listed["inside"], listed["waiting"], listed["since"]) == (1, 1, None)
    whole = site.get("/gates/door")
    assert {name: whole[name] for name in listed} == listed
    assert [(one["run"], one["step"], one["is_inside"]) for one in whole["places"]] == [
        ("one", "", True), ("two", "", False),
    ]  # fmt: skip
    assert site.ask("GET", f"{V1}/gates/door?key=north").json()["code"] == "unknown_gate"
    assert site.get("/overview")["gates"] == []


def test_starts_that_meet_are_listed_and_shown_until_they_begin(site: Site) -> None:
    assert site.get("/admissions") == {"admissions": []}
    for number, to in enumerate(("zoe", "zoe", "tom")):
        site.post("/runs", {"workflow": "mail", "id": f"m{number}", "input": {"to": to}})
        finish(site.engine.advance("1s"))

    tom, zoe = site.get("/admissions")["admissions"]
    assert [tom[name] for name in ("id", "workflow", "key", "waiting")] == ["mail//tom", "mail", "tom", 1]
    assert (zoe["rule"], zoe["waiting"]) == ("debounced by 30000 ms, at most 60000 ms", 2)
    assert tom["begins"] > zoe["begins"]
    assert [one["key"] for one in site.get("/admissions?limit=1&after=mail//tom")["admissions"]] == ["zoe"]
    whole = site.get("/admissions/mail?key=zoe")
    assert [(one["run"], one["stage"], one["into"]) for one in whole.pop("runs")] == [
        ("m0", "waiting", None), ("m1", "waiting", None),
    ]  # fmt: skip
    assert whole == zoe
    answer = site.ask("GET", f"{V1}/admissions/mail")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_admission")
    assert "give the key" in answer.json()["detail"]
    finish(site.engine.advance("1m"))
    assert site.get("/admissions") == {"admissions": []}


def test_a_merged_run_names_the_run_that_took_it_in_and_answers_for_it(site: Site) -> None:
    for run in ("one", "two"):
        site.post("/runs", {"workflow": "turns", "id": run})
        finish(site.engine.advance("1s"))
    merged = site.get("/runs/two")
    assert (merged["status"], merged["into"], site.get("/runs/one")["into"]) == ("merged", "one", None)
    assert {one["id"]: one["into"] for one in site.get("/runs")["runs"]} == {"one": None, "two": "one"}
    assert [one["id"] for one in site.get("/runs?status=merged")["runs"]] == ["two"]
    site.post("/runs/two/signals/go", {"data": 7})
    finish(site.engine.until_idle())
    assert site.get("/runs/two/result?wait=30")["output"] == 7


def test_the_doctor_names_what_is_wrong_in_pages(site: Site) -> None:
    site.post("/queues/default/pause", {"reason": "new machine"})
    for name in ("nightly", "weekly"):
        site.post("/schedules", {"name": name, "workflow": "fails", "cron": ["0 3 * * *"]})
        finish(site.engine.until_idle())
        site.post(f"/schedules/{name}/pause", {"reason": "holidays"})
    finish(site.engine.until_idle())
    found = site.get("/doctor")
    assert {"queues": 1, "schedules": 2}.items() <= found["checks"].items()
    assert len(found["findings"]) == sum(found["checks"].values()) == found["problems"] + found["warnings"]
    (queue,) = site.get("/doctor?check=queues")["findings"]
    assert queue["thing"] == "queue default" and "by local (new machine)" in queue["cause"]
    assert queue["remedy"] == "`stream-durable queues resume default`"
    first = site.get("/doctor?check=schedules&limit=1")
    second = site.get(f"/doctor?check=schedules&limit=1&after={first['following']}")
    things = [one["thing"] for page in (first, second) for one in page["findings"]]
    assert things == ["schedule nightly", "schedule weekly"] and second["following"] is None
    assert site.ask("GET", f"{V1}/doctor?check=weather").status_code == 422

    site.post("/queues/default/resume")
    assert "queues" in site.get("/doctor")["checks"], "it is seconds old"
    assert "queues" not in site.post("/doctor/repair")["checks"]
    assert "queues" not in site.get("/doctor")["checks"], "a repair looks anew"
