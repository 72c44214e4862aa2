"""`dev` and `demo`: everything on one machine."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
from cli_world import HERE, Cli, Process, Processes

from stream_durable.local.process import free_ports, wait_for

pytestmark = [pytest.mark.real, pytest.mark.timeout(700)]

SECONDS = 150.0


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


def command_line(process: psutil.Process) -> list[str]:
    """Return the command line of a process; nothing of one that has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def until_it_works(dev: Process) -> None:
    """Wait for the last line of what is printed when everything works."""

    def is_ready() -> bool:
        assert dev.popen.poll() is None, dev.text()
        return "Ctrl-C stops everything." in dev.text()

    wait_for(is_ready, seconds=SECONDS, what="what is printed when everything works")


def suggested(dev: Process) -> list[str]:
    """Return the arguments of the start that is suggested, without following."""
    [line] = [line for line in dev.text().splitlines() if line.startswith("  stream-durable runs start ")]
    _, *arguments, follow = shlex.split(line)
    assert follow == "--follow"
    return arguments


def exported(cli: Cli) -> dict[str, str]:
    lines = cli("config", "env").stdout.splitlines()
    return dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))


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
    assert "orders_app.py changed: the worker is started again" in dev.text()
    app.write_text((HERE / "orders_app.py").read_text().replace("one * 2", "one * 3"))
    wait_for(lambda: dev.text().count('"service.started"') == 2, seconds=SECONDS, what="the new worker")
    (project / "start_some.py").write_text("print(1)")
    followed = cli("runs", "start", "quick", "--input", '{"n": 1}', "--follow").stdout
    code = dev.end(signal.SIGTERM, SECONDS)

    assert followed.splitlines()[-1] == "6"
    assert "start_some.py" not in dev.text()
    assert code == 0, dev.text()


def test_dev_without_an_app_shows_three_runs_and_its_lines_work_as_printed(
    cli: Cli, project: Path, processes: Processes
) -> None:
    def statuses() -> dict[str, str]:
        return {run["id"]: run["status"] for run in cli.rows("runs", "list")}

    dev = processes.start("dev", "--kafka", "mock", "--no-reload", cwd=project)
    until_it_works(dev)
    expected = {"report-1": "completed", "order-1": "waiting", "trip-1": "compensated"}
    wait_for(lambda: statuses() == expected, seconds=SECONDS, what="the three runs")
    lines = [line for line in dev.text().splitlines() if line.startswith("  stream-durable ")]
    printed = [cli(*shlex.split(line)[1:]).stdout for line in lines]
    assert "approve" in printed[0]
    assert "no_room" in printed[2]
    wait_for(lambda: statuses()["order-1"] == "completed", seconds=SECONDS, what="the answered run")
    [page] = [line.split()[-1] for line in dev.text().splitlines() if "Page" in line]
    shown = json.load(urlopen(f"{page}api/v1/runs/trip-1"))
    assert shown["status"] == "compensated"
    began = time.monotonic()
    with urlopen(f"{page}api/v1/live?overview=true") as stream:
        assert stream.readline() == b"retry: 2000\n"
        assert dev.end(signal.SIGTERM, SECONDS) == 0, dev.text()
        assert b"event: goodbye" in stream.read()
    # Nobody waits for the stream.
    assert time.monotonic() - began < 9


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


def test_what_is_configured_besides_wins_over_dev(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".durable").mkdir()
    values = {"kafka.bootstrap": "127.0.0.1:1", "kafka.partitions": "4"}
    (project / ".durable" / "running.json").write_text(
        json.dumps({"pid": psutil.Process().pid, "values": values})
    )
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PARTITIONS", "8")
    rows = {row["setting"]: row for row in cli.rows("config", "show")}

    assert (rows["kafka.partitions"]["value"], rows["kafka.partitions"]["origin"]) == ("8", "env")
    assert (rows["kafka.bootstrap"]["value"], rows["kafka.bootstrap"]["origin"]) == ("127.0.0.1:1", "dev")
    assert exported(cli) == {
        "STREAM_DURABLE_KAFKA__BOOTSTRAP": "127.0.0.1:1",
        "STREAM_DURABLE_KAFKA__PARTITIONS": "8",
    }


def test_secrets_are_left_out_of_what_a_shell_is_given(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_DURABLE_POSTGRES__DSN", "postgresql://tom:hunter2@127.0.0.1/shop")
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PROPERTIES__SASL_PASSWORD", "hunter3")
    printed = cli("config", "env").stdout

    assert "hunter" not in printed
    assert "# STREAM_DURABLE_POSTGRES__DSN is or contains a secret" in printed


def test_a_directory_that_cannot_be_made_is_one_sentence(cli: Cli, project: Path) -> None:
    told = cli("dev", "orders_app:app", "--home", "/proc/nothing", code=1).stderr

    assert told.startswith("Error: --home /proc/nothing cannot be used: ")
    assert len(told.splitlines()) == 1


def test_dev_says_what_it_fetches(
    cli: Cli, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maven fetches nothing here: it says that a file has come, and fails."""
    maven = tmp_path / "bin" / "mvn"
    maven.parent.mkdir()
    arrived = "Downloaded from central: https://repo/kafka_2.13-4.2.0.jar (5.9 MB at 9.1 MB/s)"
    maven.write_text(f"#!/bin/sh\necho '{arrived}'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{maven.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    done = cli("dev", "orders_app:app", "--kafka", "local", code=1)

    assert "Fetching Apache Kafka 4.2.0 with Maven, about 43 MB" in done.stdout
    assert "kafka_2.13-4.2.0.jar  5.9 MB" in done.stdout
    assert done.stderr.startswith("Error: Maven could not fetch Kafka:")


def test_ports_are_for_servers_of_ours(cli: Cli, project: Path) -> None:
    told = cli("dev", "orders_app:app", "--kafka", "mock", "--kafka-port", "9092", code=2).stderr

    assert "--kafka-port is for a local Kafka, and Kafka is mock here" in told


_CLIENTS = """\
import asyncio
from stream_durable import Client

async def main():
    async with Client() as client:
        run = await client.start("quick", {"n": 1})
        print(await run.result(timeout="60s"))

asyncio.run(main())
with Client.sync() as client:
    print(client.start("quick", {"n": 2}).result(timeout="60s"))
"""


def test_what_dev_prints_is_so(cli: Cli, project: Path, processes: Processes) -> None:
    ports = free_ports(2)
    asked = ("--kafka-port", str(ports[0]), "--postgres-port", str(ports[1]))
    # The name of the example's app: what is printed is about this one all the same.
    code = project / "orders_app.py"
    code.write_text(code.read_text().replace('App("orders"', 'App("tour"'))
    dev = processes.start("dev", "orders_app:app", "--kafka", "local", *asked, cwd=project)
    until_it_works(dev)

    # At once, as printed.
    assert "Started" in cli(*suggested(dev)).stdout
    clients = subprocess.run(
        [sys.executable, "-c", _CLIENTS], cwd=project, capture_output=True, text=True, check=True
    )
    assert clients.stdout.split() == ["4", "6"]
    second = processes.start("dev", "orders_app:app", cwd=project)
    assert second.popen.wait(SECONDS) == 1
    assert f"runs already on .durable, process {dev.popen.pid}" in second.text()
    first = exported(cli)
    assert dev.end(signal.SIGINT, SECONDS) == 0, dev.text()

    # The ports are those of the last time.
    dev = processes.start("dev", "orders_app:app", "--kafka", "local", cwd=project)
    until_it_works(dev)
    assert exported(cli) == first
    assert first["STREAM_DURABLE_KAFKA__BOOTSTRAP"] == f"127.0.0.1:{ports[0]}"
    assert f":{ports[1]}/" in first["STREAM_DURABLE_POSTGRES__DSN"]
    assert dev.end(signal.SIGINT, SECONDS) == 0, dev.text()
    assert dev.text().splitlines()[-1] == "Everything has stopped."


def test_dev_starts_again_what_dies(cli: Cli, project: Path, processes: Processes) -> None:
    dev = processes.start("dev", "orders_app:app", "--kafka", "local", cwd=project)
    until_it_works(dev)
    before = len(dev.text().splitlines())

    # The servers themselves, and not what they fork for a moment.
    children = psutil.Process(dev.popen.pid).children()
    [kafka] = [p for p in children if "kafka.Kafka" in command_line(p)]
    [postgres] = [p for p in children if "-D" in command_line(p)]
    kafka.kill()
    postgres.kill()
    for name in ("Kafka", "Postgres"):
        told = f"{name} has ended by itself, with code -9: it is started again"
        wait_for(lambda told=told: told in dev.text(), seconds=SECONDS, what=told)
        wait_for(lambda name=name: f"{name} runs again" in dev.text(), seconds=SECONDS, what=f"{name} again")
    followed = cli("runs", "start", "quick", "--input", '{"n": 1}', "--follow").stdout
    written = dev.text().splitlines()[before:]
    [worker] = [
        p for p in of(project) if "--for-dev" in (line := command_line(p)) and "setpriv" not in line[0]
    ]
    worker.kill()
    wait_for(lambda: '"process.ended"' in dev.text(), seconds=SECONDS, what="the end of the worker")
    again = cli("runs", "start", "quick", "--input", '{"n": 2}', "--follow").stdout
    code = dev.end(signal.SIGTERM, SECONDS)

    assert (followed.splitlines()[-1], again.splitlines()[-1]) == ("4", "6")
    assert len(written) < 60, written
    assert not [line for line in written if line.startswith("%")]
    assert code == 0, dev.text()
    assert dev.text().splitlines()[-1] == "Everything has stopped."


def test_a_start_that_is_broken_off_leaves_nothing_behind(project: Path, processes: Processes) -> None:
    dev = processes.start("dev", "orders_app:app", "--kafka", "local", cwd=project)
    wait_for((project / ".durable" / "kafka").exists, seconds=SECONDS, what="the start of Kafka")
    code = dev.end(signal.SIGINT, SECONDS)

    # As a shell has it for Ctrl-C, where it comes before anything runs that could be ended.
    assert code in (0, 130), dev.text()
    assert "Traceback" not in dev.text()
    assert not of(project)


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
