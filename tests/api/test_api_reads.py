"""What the API returns of runs and of the instance, on the engine in memory."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from api_flows import fails, orders
from api_site import V1, Site, finish

from stream_durable.api.problems import of
from stream_durable.core.errors import RejectedError, TransientError
from stream_durable.ports import Outgoing
from stream_durable.testing.engine import Engine
from stream_durable.wire.control import ProcessHere, encode_control, process_key
from stream_durable.wire.topics import CONTROL


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Engine.memory() as engine:
        engine.deploy(orders, fails)
        site = Site(engine)
        site.post("/runs", {"workflow": "order", "id": "order-1", "input": {"id": 1}, "tags": ["vip"]})
        finish(engine.until_asked(engine.run("order-1"), "approve"))
        finish(engine.advance("1s"))
        site.post("/runs", {"workflow": "fails", "id": "failed-1", "input": None})
        site.get("/runs/failed-1/result?wait=30")
        yield site


def test_runs_are_listed_newest_first_with_every_condition(site: Site) -> None:
    assert [run["id"] for run in site.get("/runs")["runs"]] == ["failed-1", "order-1"]
    assert [run["id"] for run in site.get("/runs?workflow=order&tag=vip")["runs"]] == ["order-1"]
    assert [run["id"] for run in site.get("/runs?status=failed&status=completed")["runs"]] == ["failed-1"]
    assert site.get("/runs?failed=true&created_since=1d")["runs"][0]["failure"]["code"] == "ValueError"


def test_pages_follow_each_other(site: Site) -> None:
    first = site.get("/runs?limit=1")
    second = site.get(f"/runs?limit=1&after={first['following']}")
    assert [one["runs"][0]["id"] for one in (first, second)] == ["failed-1", "order-1"]
    assert second["following"] is None


def test_counts_say_whether_they_are_exact(site: Site) -> None:
    assert site.get("/runs/count") == {"found": 2, "is_exact": True}
    assert site.get("/runs/count?at_most=1") == {"found": 1, "is_exact": False}
    assert site.get("/runs/statuses")["counts"] == {"failed": 1, "waiting": 1}


def test_a_run_has_its_steps_in_order_with_kind_and_dependencies(site: Site) -> None:
    run = site.get("/runs/order-1")
    assert [(step["name"], step["kind"], step["after"]) for step in run["steps"]] == [
        ("reserve", "step", []),
        ("approve", "input", ["reserve"]),
        ("paid", "signal", ["approve"]),
        ("ship", "step", ["paid"]),
    ]
    assert run["input"] == {"id": 1}
    assert run["current"] == ["approve"]


def test_an_id_with_slashes_is_one_part_of_the_path(site: Site) -> None:
    problem = site.ask("GET", f"{V1}/runs/shop%2F7%2F%2Fchild%201%252F%3F%23").json()
    assert problem["code"] == "unknown_run"
    assert "'shop/7//child 1%2F?#'" in problem["detail"]


def test_a_graph_has_layers(site: Site) -> None:
    graph = site.get("/runs/order-1/graph")
    assert [node["layer"] for node in graph["nodes"]] == [0, 1, 2, 3]
    assert graph["edges"][0] == {"source": "reserve", "target": "approve"}


def test_attempts_carry_log_lines(site: Site) -> None:
    attempts = site.get("/runs/order-1/attempts?step=reserve")["attempts"]
    assert [line["text"] for line in attempts[0]["logs"]] == ["reserving for 1, walrus-4711"]


def test_history_and_family_are_there(site: Site) -> None:
    happened = [one["what"] for one in site.get("/runs/order-1/history?evidence=true")["happenings"]]
    assert happened[:2] == ["created", "started"]
    assert site.get("/runs/order-1/family")["runs"][0]["id"] == "order-1"


def test_a_result_is_waited_for_and_says_that_a_run_goes_on(site: Site) -> None:
    answer = site.ask("GET", f"{V1}/runs/order-1/result?wait=1")
    assert (answer.status_code, answer.json()["has_ended"]) == (202, False)
    failed = site.get("/runs/failed-1/result")
    assert (failed["status"], failed["failure"]["step"]) == ("failed", "explode")


def test_workflows_have_versions_schemas_and_figures(site: Site) -> None:
    listed = {one["name"]: one for one in site.get("/workflows")["workflows"]}
    assert (listed["order"]["open"], listed["fails"]["failed"]) == (1, 1)
    whole = site.get("/workflows/order")
    assert whole["definition"]["nodes"][0]["name"] == "reserve"
    version = site.get(f"/workflows/order/versions/{whole['fingerprint']}")
    assert version["definition"] == whole["definition"]
    assert site.get("/runs/order-1")["answers"] == ["quote"]
    assert version["inquiries"] == {"quote": {"type": "integer"}}
    assert [node["name"] for node in version["graph"]["nodes"]][0] == "reserve"
    assert all(node["status"] == "" for node in version["graph"]["nodes"])
    assert {"source": "reserve", "target": "approve"} in version["graph"]["edges"]
    same = site.get(f"/workflows/order/diff?old={whole['fingerprint']}&new={whole['fingerprint']}")
    assert same == {"changes": []}


def test_versions_say_when_they_were_registered_and_the_overview_says_what_was_deployed(site: Site) -> None:
    (version,) = site.get("/workflows/order/versions")["versions"]
    assert version["is_current"]
    overview = site.get("/overview")
    (deployed,) = (one for one in overview["deployments"] if one["workflow"] == "order")
    assert (deployed["fingerprint"], deployed["at"]) == (version["fingerprint"], version["registered"])
    assert deployed["at"] <= overview["runs"][0]["created"]
    assert site.get("/deployments")["deployments"] == overview["deployments"]
    refused = site.ask("GET", f"{V1}/deployments?since=soon")
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_option")
    unknown = site.ask("GET", f"{V1}/workflows/none/versions")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_workflow")


def test_open_questions_and_waits_are_listed(site: Site) -> None:
    inputs = site.get("/inputs?role=warehouse")["inputs"]
    assert [(one["run"], one["wait"]) for one in inputs] == [("order-1", "approve")]
    assert site.get("/inputs/order-1/approve")["answer"] == "approval"
    assert site.get("/inputs?role=nobody")["inputs"] == []
    assert site.get("/waits")["waits"] == []


def test_a_run_and_a_step_are_explained(site: Site) -> None:
    whole, step = site.get("/runs/order-1/why"), site.get("/runs/order-1/why?step=ship")
    assert (whole["word"], whole["step"]) == ("Waiting", "approve")
    assert "warehouse" in whole["sentence"]
    assert [check["state"] for check in step["checks"]][:1] == ["holds"]
    assert site.get("/runs/order-1")["word"] == site.get("/runs?workflow=order")["runs"][0]["word"]


def test_queues_and_workers_are_listed(site: Site) -> None:
    assert isinstance(site.get("/queues")["queues"], list)
    assert isinstance(site.get("/workers")["workers"], list)


def test_processes_of_all_kinds_are_listed_and_their_releases_are_on_the_overview(site: Site) -> None:
    here = ProcessHere(kind="ingress", since=1_000, every_ms=30_000, version="0.7", format=2, host="h")
    record = Outgoing(CONTROL, 0, process_key("ingress", "one"), encode_control(here))
    site.engine.tell(lambda: site.engine.ports.publisher.publish([(record, None)]))

    (found,) = site.get("/processes")["processes"]
    assert {name: found[name] for name in ("kind", "name", "host", "version", "format", "is_gone")} == {
        "kind": "ingress", "name": "one", "host": "h", "version": "0.7", "format": 2, "is_gone": False,
    }  # fmt: skip
    assert site.get("/status")["processes"] == [found]
    assert site.get("/overview")["releases"] == [
        {"version": "0.7", "at": "1970-01-01T00:00:01Z", "kind": "ingress"}
    ]


def test_the_instance_is_shown(site: Site) -> None:
    overview = site.get("/overview")
    assert overview["counts"]["counts"] == {"failed": 1, "waiting": 1}
    assert overview["inputs"] == 1
    assert site.get("/status")["runs"] == {"failed": 1, "waiting": 1}
    assert site.get("/gates") == {"gates": []}
    assert site.get("/dead") == {"records": [], "following": None}
    assert site.get("/later") == {"messages": [], "following": None}
    assert site.get("/events") == {"events": [], "following": None}
    assert site.get("/schedules") == {"schedules": [], "following": None}
    assert "postgres.dsn" in [one["path"] for one in site.get("/settings")["settings"]]
    assert site.get("/me") == {"name": "local", "role": "admin", "may_see_payloads": True}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/runs/nobody", 404, "unknown_run"),
        ("GET", "/workflows/nothing", 404, "unknown_workflow"),
        ("GET", "/nothing", 404, "not_found"),
        ("PUT", "/runs", 405, "method_not_allowed"),
        ("GET", "/runs?limit=0", 422, "bad_request"),
        ("GET", "/runs?colour=red", 422, "bad_request"),
        ("GET", "/runs?status=purple", 400, "bad_status"),
        ("GET", "/runs?after=here", 400, "bad_cursor"),
        ("GET", "/dead?after=x", 400, "bad_cursor"),
        ("GET", "/dead?colour=red", 422, "bad_request"),
        ("GET", "/dead/3-17", 404, "unknown_record"),
        ("POST", "/dead/3-17/redrive", 404, "unknown_record"),
        ("GET", "/gates/bank", 404, "unknown_gate"),
        ("GET", "/schedules/nightly", 404, "unknown_schedule"),
        ("GET", "/inputs/order-1/ship", 404, "unknown_input"),
        ("GET", "/operations/none", 404, "unknown_operation"),
        ("POST", "/runs/nobody/cancel", 404, "unknown_run"),
    ],
)
def test_an_error_has_code_cause_and_remedy(
    site: Site, method: str, path: str, status: int, code: str
) -> None:
    options: dict[str, Any] = {"json": {}} if method == "POST" else {}
    answer = site.ask(method, V1 + path, **options)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert problem["cause"]
    assert problem["remedy"]


@pytest.mark.parametrize(
    ("content", "kind", "cause", "remedy"),
    [
        (b'{"workflow": "order"}', "text/plain", "body: Input should be", "content-type: application/json"),
        (b'{"workflow": "order", "idd": 1}', "application/json", "body.idd: Extra inputs", "openapi.json"),
    ],
)
def test_the_cause_of_a_bad_body_is_whole_and_the_remedy_is_one(
    site: Site, content: bytes, kind: str, cause: str, remedy: str
) -> None:
    problem = site.ask("POST", f"{V1}/runs", content=content, headers={"content-type": kind}).json()
    assert cause in problem["cause"]
    assert remedy in problem["remedy"]


@pytest.mark.parametrize(
    ("text", "cause", "remedy"),
    [
        (
            "Postgres at db (postgres.dsn): no answer within 10 s",
            "no answer within 10 s",
            "try again later; `",
        ),
        (
            "could not read it. The address is db: try again later, or correct it",
            "is db",
            "try again later, or",
        ),
    ],
)
def test_what_a_driver_says_is_no_remedy(text: str, cause: str, remedy: str) -> None:
    problem = json.loads(of(TransientError(text)).body)

    assert problem["cause"].endswith(cause)
    assert problem["remedy"].startswith(remedy)


def test_a_value_that_does_not_fit_is_no_remedy() -> None:
    text = "the input of workflow 'order' does not fit: sku: Field required"
    problem = json.loads(of(RejectedError("invalid_input", text)).body)
    assert problem["cause"] == text
    assert "openapi.json" in problem["remedy"]
