"""`dev` and `demo`: everything on one machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cli_world import HERE, Cli, Process, Processes

from stream_durable.local.process import wait_for

pytestmark = pytest.mark.real

SECONDS = 60.0


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with an app, where what `dev` leaves behind is ended."""
    directory = tmp_path / "project"
    directory.mkdir()
    shutil.copy(HERE / "orders_app.py", directory)
    monkeypatch.chdir(directory)
    yield directory
    for process in of(directory):
        process.kill()


def of(directory: Path) -> list[psutil.Process]:
    """Return the processes that work in a directory, without ourselves."""
    found = []
    for process in psutil.process_iter():
        try:
            is_there = str(directory) in process.cwd() and process.status() != psutil.STATUS_ZOMBIE
            if is_there and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            continue
    return found


def until_it_works(dev: Process) -> None:
    wait_for(lambda: '"service.started"' in dev.text(), seconds=SECONDS, what="the worker")


def test_dev_goes_on_after_a_crash_although_the_mock_broker_forgets(
    cli: Cli, project: Path, processes: Processes
) -> None:
    def steps() -> dict[str, str]:
        return {step["step"]: step["status"] for step in cli.rows("runs", "show", "order-1")["steps"]}

    dev = processes.start("dev", "orders_app:app", "--kafka", "mock", cwd=project)
    until_it_works(dev)
    assert "it forgets" in dev.text()
    cli("runs", "start", "order", "--input", '{"id": "1"}', "--id", "order-1")
    wait_for(lambda: steps().get("paid") == "waiting", seconds=SECONDS, what="the wait")

    dev.popen.kill()
    dev.popen.wait()
    wait_for(lambda: not of(project), seconds=SECONDS, what="the end of what dev had started")
    dev = processes.start("dev", "orders_app:app", "--kafka", "mock", cwd=project)
    until_it_works(dev)
    cli("publish", "payment.captured", "--key", "1", "--data", '{"amount": 2}')
    cli("signal", "order-1", "released", "--data", '{"by": "tom"}')
    wait_for(lambda: steps()["ship"] == "completed", seconds=SECONDS, what="the end of the run")
    code = dev.end(signal.SIGTERM, SECONDS)

    assert code == 0, dev.text()
    assert not of(project)
    assert not (project / ".durable" / "running.json").exists()


def test_dev_takes_up_changed_code(cli: Cli, project: Path, processes: Processes) -> None:
    app = project / "orders_app.py"
    dev = processes.start("dev", "orders_app:app", "--kafka", "mock", cwd=project)
    until_it_works(dev)

    app.write_text("nonsense(")
    wait_for(lambda: "Error: cannot load" in dev.text(), seconds=SECONDS, what="the complaint")
    app.write_text((HERE / "orders_app.py").read_text().replace("one * 2", "one * 3"))
    wait_for(lambda: dev.text().count('"service.started"') == 2, seconds=SECONDS, what="the new worker")
    followed = cli("runs", "start", "quick", "--input", '{"n": 1}', "--follow").stdout
    code = dev.end(signal.SIGTERM, SECONDS)

    assert followed.splitlines()[-1] == "6"
    assert code == 0, dev.text()


def test_dev_refuses_an_app_that_cannot_be_loaded_before_it_starts_anything(cli: Cli, project: Path) -> None:
    cli("dev", "nowhere:app", code=2)

    assert not (project / ".durable").exists()


def test_the_services_of_dev_are_not_meant_where_anything_is_configured(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".durable").mkdir()
    running = {"pid": psutil.Process().pid, "values": {"kafka.bootstrap": "127.0.0.1:1"}}
    (project / ".durable" / "running.json").write_text(json.dumps(running))
    found = {row["setting"]: row["value"] for row in cli.rows("config", "show")}
    monkeypatch.setenv("STREAM_DURABLE_POSTGRES__DSN", "postgresql://127.0.0.1/shop")
    configured = {row["setting"]: row["value"] for row in cli.rows("config", "show")}

    assert found["kafka.bootstrap"] == "127.0.0.1:1"
    assert configured["kafka.bootstrap"] == "127.0.0.1:9092"


def test_the_demonstration_goes_as_it_should(processes: Processes, tmp_path: Path) -> None:
    demo = processes.start("demo", "--keep", environment={"TMPDIR": str(tmp_path)})
    code = demo.popen.wait(110)
    text = demo.text()

    assert code == 0, text
    assert "kill -9" in text
    assert "charge           completed  attempt 2" in text
    assert "What you have just seen" in text
    assert [
        process for process in psutil.Process().children(recursive=True) if "demo" in process.name()
    ] == []
