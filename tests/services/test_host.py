"""A service whose Kafka and Postgres are away: alive, not ready, and it can be told to stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from stream_durable.local.process import free_ports, wait_for

AWAY = {
    "STREAM_DURABLE_KAFKA__BOOTSTRAP": "127.0.0.1:1",
    "STREAM_DURABLE_POSTGRES__DSN": "postgresql://127.0.0.1:1/nowhere",
}


def get(port: int, path: str) -> tuple[int, str]:
    """Return what a health server answers; 0: nothing."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_a_taken_port_is_said_without_a_traceback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "stream_durable", "reconciler", "--health-port", port],
            env={**os.environ, **AWAY},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert f"Error: health.port: cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_waits_for_what_is_away_and_ends_when_told_to(tmp_path: Path, number: int) -> None:
    port = free_ports(1)[0]
    log = tmp_path / "log"
    with log.open("wb") as output:
        service = subprocess.Popen(
            [sys.executable, "-m", "stream_durable", "reconciler", "--health-port", str(port)],
            env={**os.environ, **AWAY},
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(lambda: get(port, "/livez")[0] == 200, seconds=60, what="the health server")
        ready = get(port, "/readyz")
        wait_for(lambda: b"dependency.failed" in log.read_bytes(), seconds=60, what="the first try")
        service.send_signal(number)
        code = service.wait(30)
    finally:
        service.kill()
        service.wait()

    assert (ready[0], "it is being started" in ready[1]) == (503, True)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    refused = [line["reason"] for line in lines if line["event"] == "dependency.failed"]
    assert code == 0, lines
    assert lines[-1]["event"] == "service.stopped"
    assert [reason.partition(" at ")[0] for reason in refused] == ["Postgres"]
    assert "(postgres.dsn): Connection refused" in refused[0]
