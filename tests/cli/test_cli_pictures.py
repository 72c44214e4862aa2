"""`graph`, `report` and `diff`: what is to be seen of workflows and of runs."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_world import HERE, Cli, Processes

from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres
from stream_durable.local.process import wait_for
from stream_durable.postgres.views import PostgresViews
from stream_durable.settings import Settings

SECONDS = 60.0


@pytest.fixture(autouse=True)
def in_the_directory_of_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)


@pytest.fixture(scope="module")
def instance(
    kafka_broker: LocalKafka, postgres_server: LocalPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """A reconciler and a worker of the app, on topics and a schema of their own."""
    name = f"sd_{secrets.token_hex(4)}"
    postgres_server.create_database(name)
    environment = {
        "STREAM_DURABLE_PREFIX": name,
        "STREAM_DURABLE_KAFKA__BOOTSTRAP": kafka_broker.bootstrap,
        "STREAM_DURABLE_KAFKA__REPLICATION": "1",
        "STREAM_DURABLE_KAFKA__PARTITIONS": "2",
        "STREAM_DURABLE_POSTGRES__DSN": postgres_server.dsn(name),
        "STREAM_DURABLE_WORKER__DRAIN_MS": "1000",
    }
    processes = Processes(tmp_path_factory.mktemp("services"))
    for command in (("db", "migrate"), ("topics", "apply")):
        assert processes.start(*command, environment=environment).popen.wait(SECONDS) == 0
    processes.start("reconciler", environment=environment)
    processes.start("worker", "shapes_app:app", environment=environment)
    yield environment
    processes.kill_all()
    postgres_server.drop_database(name)


async def waits(run: str) -> bool:
    views = PostgresViews(Settings.load().postgres)
    try:
        return ("paid", "waiting") in {(step.name, step.status) for step in await views.step_list(run)}
    finally:
        await views.close()


@pytest.fixture
def waiting(cli: Cli, instance: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A run that waits for its payment."""
    for name, value in instance.items():
        monkeypatch.setenv(name, value)
    run = f"order-{secrets.token_hex(4)}"
    start = (
        "runs",
        "start",
        "order",
        "--app",
        "orders_app:app",
        "--input",
        f'{{"id": "{run}"}}',
        "--id",
        run,
    )
    cli(*start)

    wait_for(lambda: asyncio.run(waits(run)), seconds=SECONDS, what="the wait")
    return run


def test_a_workflow_is_drawn_without_any_service(cli: Cli) -> None:
    drawn = cli("workflows", "graph", "orders_app:app", "order").stdout

    assert drawn.splitlines()[0] == "order"
    assert "after released, paid" in drawn
    assert cli("workflows", "graph", "orders_app:app", "order", "--format", "dot").stdout.startswith(
        "digraph"
    )


def test_a_workflow_that_the_app_lacks_cannot_be_drawn(cli: Cli) -> None:
    assert "It has order" in cli("workflows", "graph", "orders_app:app", "nope", code=3).stderr


@pytest.mark.real
def test_a_run_is_drawn_with_where_its_steps_stand(cli: Cli, waiting: str) -> None:
    drawn = {line.split()[0]: line.split() for line in cli("runs", "graph", waiting).stdout.splitlines()}

    assert drawn["charge"][1] == "completed"
    assert drawn["paid"][1] == "waiting"
    assert drawn["ship"][1] == "pending"
    assert ":::waiting" in cli("runs", "graph", waiting, "--format", "mermaid").stdout


@pytest.mark.real
@pytest.mark.usefixtures("waiting")
def test_a_run_of_all_shapes_is_drawn_with_what_it_was_given_on_its_way(cli: Cli) -> None:
    run = f"shapes-{secrets.token_hex(4)}"
    cli("runs", "start", "shapes", "--app", "shapes_app:app", "--id", run, "--follow", code=1)
    drawn = {
        line.split()[0]: " ".join(line.split()) for line in cli("runs", "graph", run).stdout.splitlines()
    }
    found = json.loads(cli("runs", "report", run, "--output", "json").stdout)
    steps = {step["name"]: step for step in found["steps"]}

    assert "completed; 3 members: 2 completed, 1 failed" in drawn["resize"]
    assert f"completed; {run}//part" in drawn["part"]
    assert drawn["cold"].startswith("cold skipped (not_chosen)")
    assert drawn["end"].startswith("end failed (enough)")
    assert drawn["list_urls~compensate"].startswith("list_urls~compensate completed")
    assert drawn["on_failure"] == "on_failure completed"
    assert {"resize[0]", "list_urls~compensate", "~on_failure"} <= set(steps)
    assert found["critical"][0] == "list_urls"
    assert found["critical"][-1] == "end"


@pytest.mark.real
def test_a_report_says_where_the_time_went(cli: Cli, waiting: str) -> None:
    found = json.loads(cli("runs", "report", waiting, "--output", "json").stdout)

    assert found["run"] == waiting
    assert found["critical"] == ["charge"]
    assert [step["name"] for step in found["steps"]][:2] == ["charge", "paid"]
    assert "critical path  charge" in cli("runs", "report", waiting).stdout


@pytest.mark.real
@pytest.mark.usefixtures("waiting")
def test_the_app_that_runs_began_with_strands_none(cli: Cli) -> None:
    assert "No run would be stranded" in cli("workflows", "diff", "shapes_app:app").stdout


@pytest.mark.real
def test_an_app_that_would_strand_runs_is_told_which_and_why(cli: Cli, waiting: str) -> None:
    (found,) = cli.rows("workflows", "diff", "later_app:app", code=4)
    # Other tests may have left runs that stand elsewhere.
    (reason,) = [one for one in found["stranded"] if one["step"] == "ship"]

    # What the new `charge` wants does not matter any more: in every run it has ended.
    assert reason["code"] == "gone"
    assert waiting in reason["examples"]
    assert 0 < reason["runs"] <= found["runs"]
    assert {change["kind"] for change in found["changes"]} >= {"removed", "added", "options", "order"}
    assert "remedy: keep a function named 'ship'" in cli("workflows", "diff", "later_app:app", code=4).stdout


@pytest.mark.real
def test_a_workflow_that_is_not_carried_strands_its_runs_only_if_there_is_no_other_app(
    cli: Cli, waiting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other_app.py").write_text(
        "from stream_durable import App, Workflow\n"
        "flow = Workflow('other')\n"
        "flow.add('a', lambda: 1)\n"
        "app = App('other', workflows=[flow])\n"
    )
    (beside,) = cli.rows("workflows", "diff", "other_app:app")
    (alone,) = cli.rows("workflows", "diff", "other_app:app", "--alone", code=4)

    assert (beside["workflow"], beside["stranded"]) == ("order", [])
    # Some of them are named, and other tests have left theirs.
    examples = [run for reason in alone["stranded"] for run in reason["examples"]]
    assert examples
    assert {run.partition("-")[0] for run in examples} == {waiting.partition("-")[0]}
