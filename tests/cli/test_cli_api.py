"""`api` and `api-tokens`, on real services."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from cli_world import SECONDS, Cli, Process, Processes

from stream_durable.local.process import wait_for

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("on_instance")]


def opened(served: Process) -> str | None:
    """Return the port that the API has said to listen on."""
    assert served.popen.poll() is None, served.text()
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", served.text())
    return None if found is None else found[1]


def test_tokens_are_made_listed_and_revoked(cli: Cli) -> None:
    made = cli("api-tokens", "create", "alice", "--role", "operator", "--expires", "90d").stdout
    assert made.strip()
    (token,) = cli.rows("api-tokens", "list")
    assert (token["name"], token["role"]) == ("alice", "operator")
    assert made.split()[-1] not in json.dumps(token)
    cli("api-tokens", "revoke", "alice")
    (token,) = cli.rows("api-tokens", "list")
    assert token["revoked"]


def test_changes_come_live_and_a_stream_goes_on_at_another_process(processes: Processes) -> None:
    def address() -> str:
        served = processes.start("api", "--port", "0")
        wait_for(lambda: opened(served), seconds=SECONDS, what="the API")
        return f"http://127.0.0.1:{opened(served)}/api/v1"

    def start(api: str, run: str) -> None:
        body = json.dumps({"workflow": "quick", "input": {"n": 1}, "id": run}).encode()
        urlopen(Request(f"{api}/runs", body, {"content-type": "application/json"}))

    first, second = address(), address()
    path = "live?run=live-1&run=live-2&list=workflow%3Dquick"
    with urlopen(f"{first}/{path}") as one, urlopen(f"{second}/{path}") as other:
        hello, _ = next(events(one)), next(events(other))
        start(first, "live-1")
        assert "run.completed" in told(one, "live-1")
        last = told(other, "live-1")
        assert "run.completed" in last
        start(first, "live-2")
        assert "run.completed" in told(one, "live-2")
    # The other process remembers what it has seen, and its reader goes on.
    again = Request(f"{second}/{path}", headers={"Last-Event-ID": last["run.completed"]})
    with urlopen(again) as other:
        assert "run.completed" in told(other, "live-2")
    assert hello["event"] == "hello"


def events(stream: Any) -> Iterator[dict[str, str]]:
    """Yield the events of a stream, each as its fields."""
    fields: dict[str, str] = {}
    while line := stream.readline().decode():
        if line == "\n":
            yield fields
            fields = {}
        else:
            name, value = line.rstrip("\n").split(": ", 1)
            fields[name] = value


def told(stream: Any, run: str) -> dict[str, str]:
    """Read on to the end of a run; return the types of its events with the ids."""
    found: dict[str, str] = {}
    position = ""
    for event in events(stream):
        position = event.get("id") or position
        assert event["event"] in ("hello", "run", "list", "alive")
        data = json.loads(event["data"])
        if data.get("run") == run:
            found[data["type"]] = position
            if data["type"] == "run.completed":
                return found
    return found


def test_the_api_starts_a_run_and_shows_it(processes: Processes) -> None:
    served = processes.start("api", "--port", "0")
    wait_for(lambda: opened(served), seconds=SECONDS, what="the API")
    address = f"http://127.0.0.1:{opened(served)}"
    body = json.dumps({"workflow": "quick", "input": {"n": 1}, "id": "by-http"}).encode()
    post = Request(f"{address}/api/v1/runs", body, {"content-type": "application/json"})
    assert json.load(urlopen(post))["id"] == "by-http"
    found = json.load(urlopen(f"{address}/api/v1/runs/by-http/result?wait=20"))
    assert found["output"] == 4
    with pytest.raises(HTTPError) as missing:
        urlopen(f"{address}/api/v1/runs/nobody")
    assert missing.value.code == 404
    assert json.load(missing.value)["code"] == "unknown_run"
