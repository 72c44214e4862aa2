"""`api` and `api-tokens`, on real services."""

from __future__ import annotations

import json
import re
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
