"""The benchmark: its arithmetic, what it reads from the kernel, and small runs of the whole."""

import json
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import psutil
import pytest
from budget import IS_THOROUGH, WATCHERS

from stream_durable.bench import api, main, page, services, timing
from stream_durable.bench.errors import BenchError
from stream_durable.bench.load import prefixes_of
from stream_durable.bench.prototype import _read
from stream_durable.bench.report import COUNTED, PARTS, Percentiles, Sample, line, row, tables
from stream_durable.bench.usage import Usage
from stream_durable.bench.workloads import WORKLOADS
from stream_durable.core.lanes import lanes_of
from stream_durable.core.lifecycle import RUN_COMPLETED, STEP_WAITING, RunEvent, StepEvent
from stream_durable.local.kafka_files import QUICK_JVM
from stream_durable.wire import lifecycle

KEYS = ["workload", "n", "runs_per_s", "steps_per_s", "records_per_s", "cpu_ms_per_step", "cpu_s", "peak_mb",
        "p50_ms", "p95_ms", "p99_ms", "spread", "counts"]  # fmt: skip


def sample(seconds: float = 2.0, cpu_s: float = 0.25, latency: Percentiles | None = None) -> Sample:
    """Return 100 runs of 10 steps, of which each part used the same CPU."""
    return Sample(
        runs=100,
        steps=1_000,
        records=1_100,
        seconds=seconds,
        cpu_s=dict.fromkeys(PARTS, cpu_s),
        peak_mb=dict.fromkeys(PARTS, 50.0),
        latency=latency,
    )


def test_the_load_is_no_part_of_the_cost_of_a_step() -> None:
    assert sample(cpu_s=0.25).cpu_ms_per_step == 0.25 * len(COUNTED)


def test_rates_and_medians() -> None:
    shown = row("chain", 100, [sample(seconds=1), sample(seconds=2), sample(seconds=10)])

    assert (shown.runs_per_s, shown.steps_per_s, shown.records_per_s) == (50, 500, 550)
    assert (shown.spread["runs_per_s"].min, shown.spread["runs_per_s"].max) == (10, 100)
    assert shown.cpu_s == dict.fromkeys(PARTS, 0.25)


def test_less_cpu_and_more_runs_than_the_prototype() -> None:
    shown = row("chain", 100, [sample(seconds=1, cpu_s=0.1)], [sample(seconds=2, cpu_s=0.2)])

    assert (shown.ratio_cpu, shown.ratio_rate) == (0.5, 2)


def test_a_line_has_the_keys_and_no_ratio_without_a_prototype() -> None:
    assert list(json.loads(line(row("chain", 100, [sample()])))) == KEYS


def test_a_line_with_a_prototype_has_its_figures_under_the_same_keys() -> None:
    told = json.loads(line(row("chain", 100, [sample()], [sample()])))

    assert list(told) == [*KEYS, "prototype", "ratio_cpu", "ratio_rate"]
    assert list(told["prototype"]) == KEYS


def test_less_cpu_and_more_steps_than_the_base() -> None:
    shown = row("events", 100, [replace(sample(seconds=2, cpu_s=0.1), base=sample(seconds=1, cpu_s=0.2))])

    assert (shown.ratio_cost, shown.ratio_speed) == (0.5, 0.5)


def test_latencies_are_compared_with_those_of_the_base() -> None:
    base = sample(latency=Percentiles(1.0, 2.0, 4.0))
    shown = row("resume", 100, [replace(sample(latency=Percentiles(3.0, 3.0, 8.0)), base=base)])

    assert (shown.ratio_p50, shown.ratio_p99) == (3, 2)


def test_percentiles_are_times_that_were_measured() -> None:
    assert Percentiles.of([float(i) for i in reversed(range(100))]) == (50, 95, 99)
    assert Percentiles.of([7.0]) == (7, 7, 7)


def test_latency_has_a_spread_of_its_median() -> None:
    latencies = [Percentiles(p50, 2 * p50, 3 * p50) for p50 in (5.0, 7.0, 6.0)]
    shown = row("latency", 100, [sample(latency=one) for one in latencies])

    assert (shown.p50_ms, shown.p95_ms, shown.p99_ms) == (6, 12, 18)
    assert (shown.spread["p50_ms"].min, shown.spread["p50_ms"].max) == (5, 7)


def test_the_tables_compare_only_what_the_prototype_has() -> None:
    compared, alone = row("chain", 100, [sample()], [sample()]), row("waiting", 100, [sample()])

    *shown, ratios = tables([compared, alone])
    assert [table.row_count for table in shown] == [3, 3, 3]
    assert ratios.row_count == 1


def test_events_are_told_by_their_first_bytes() -> None:
    completed = RunEvent(RUN_COMPLETED, "r", "w", "f", sequence=2, time=1, step_sequence=1, cause="r")
    waiting = StepEvent(STEP_WAITING, "r", "w", "f", sequence=1, time=1, step="s", attempt=1)

    assert lifecycle.encode(completed).startswith(prefixes_of(RunEvent, RUN_COMPLETED))
    assert lifecycle.encode(waiting).startswith(prefixes_of(StepEvent, STEP_WAITING))
    assert not lifecycle.encode(completed).startswith(prefixes_of(RunEvent, "run.failed"))


def test_a_fan_has_as_many_steps_as_is_said() -> None:
    from stream_durable.bench.app import app

    for name in ("chain", "single", "fan", "latency"):
        assert len(app.workflows[name].definition().nodes) == WORKLOADS[name].steps


def test_cpu_of_children_that_ended_is_counted() -> None:
    burn = "subprocess.run([sys.executable, '-c', 'sum(range(5_000_000))'])"
    parent = f"import subprocess, sys; {burn}; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        usage = Usage({"part": process.pid})
        process.stdout.readline()
        own = psutil.Process(process.pid).cpu_times()
        assert usage.cpu_s()["part"] >= own.user + own.system + 0.03
        assert usage.peak_mb()["part"] > 5
        process.kill()


def test_cpu_of_javas_compilers_is_not_counted() -> None:
    compiling = """
import pathlib, threading
def compile():
    pathlib.Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text("C2 CompilerThread0"[:15])
    sum(range(5_000_000))
    print(flush=True)
    stop.wait()
stop = threading.Event()
threading.Thread(target=compile).start()
input()
stop.set()
"""
    with subprocess.Popen([sys.executable, "-c", compiling], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        usage = Usage({"part": process.pid})
        process.stdout.readline()
        own = psutil.Process(process.pid).cpu_times()
        assert usage.cpu_s()["part"] <= own.user + own.system - 0.03
        process.communicate(b"\n")


def test_the_prototype_that_gives_up_is_an_error() -> None:
    with pytest.raises(BenchError, match="17 runs"):
        _read(["timeout 17\n", '{"n": 20}\n'])


def test_the_prototype_is_read_up_to_its_result() -> None:
    said, told = _read(["latency p50 1.5 p95 2.5 p99 3.5\n", '{"n": 20, "wf/s": 10.5}\n', "more\n"])

    assert told["wf/s"] == 10.5
    assert said.startswith("latency")


def test_an_unknown_workload_is_a_mistake_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chian"]) == 2
    assert "chian" in capsys.readouterr().err


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """What one small call of the benchmark says, by workload, on a broker that is quick to start."""
    said = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.setattr(services, "SERVER_JVM", QUICK_JVM)
        patch.setattr(api, "WATCHERS", WATCHERS)
        patch.setattr(api, "PAIRS", 1)
        patch.setattr(page, "PASSES", 1)
        patch.setattr(page, "FRAMES", 10)
        # Its part in the browser is tried on every change by `tests/page`.
        browser = ["page"] if IS_THOROUGH and not page.missing() else []
        thorough = ["resume", "crowd", "schedules"] if IS_THOROUGH else []
        asked = ["hotrun", "gate", "api", "timers", "idle", *thorough, *browser]
        patch.setattr(timing, "LOOK_SECONDS", 3.0)
        assert main(asked, json=True, n=100, repeat=1) == 0
    return {told["workload"]: told for told in map(json.loads, said.getvalue().splitlines())}


@pytest.mark.real
@pytest.mark.timeout(900)
def test_small_runs_of_what_waits(measured: dict[str, Any]) -> None:
    assert measured["hotrun"]["counts"]["records"]["commands.default"] == 1
    if not IS_THOROUGH:
        return
    resume, crowd = measured["resume"], measured["crowd"]
    assert resume["counts"]["records"]["events"] == 1
    assert resume["ratio_p50"] > 1
    assert crowd["ratio_p99"] > 0
    assert crowd["counts"]["records"]["events"] == 0.01


@pytest.mark.real
@pytest.mark.timeout(900)
def test_small_runs_about_time(measured: dict[str, Any]) -> None:
    timers, idle = measured["timers"], measured["idle"]
    # That its moment has come, for each run.
    assert timers["counts"]["records"]["inbox"] == 1
    assert timers["p50_ms"] >= 0
    assert list(idle["core_percent"]) == list(PARTS)
    assert (idle["runs_per_s"], idle["records_per_s"]) == (0, 0)
    # No commands, no results, and no events: a look at the rows of partitions, and what workers say.
    assert set(idle["counts"]["records"]) <= {"control"}
    if IS_THOROUGH:
        assert list(measured["schedules"]["core_percent"]) == list(PARTS)


@pytest.mark.real
@pytest.mark.timeout(900)
def test_a_step_that_passes_a_gate_costs_three_records(measured: dict[str, Any]) -> None:
    gate = measured["gate"]
    # By run one start; by step a result, and what a step says to its gate and hears from it.
    assert gate["counts"]["records"]["inbox"] == pytest.approx(4.1, abs=0.01)
    asked = [gate["counts"]["records"][f"commands.{lane}"] for lane in lanes_of("default")]
    assert asked == pytest.approx([0.9, 0.1], abs=0.01)
    assert gate["ratio_cost"] > 0


@pytest.mark.real
@pytest.mark.timeout(900)
def test_a_small_run_of_the_api(measured: dict[str, Any]) -> None:
    told = measured["api"]
    assert told["ratio_speed"] > 0
    assert list(told["api"]) == [
        "start_s", "idle_mb", "live_p50_ms", "live_p99_ms", "run_ms", "list_p50_ms", "list_p99_ms",
    ]  # fmt: skip
    assert told["api"]["idle_mb"] > 20


@pytest.mark.real
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not IS_THOROUGH, reason="takes a browser and an installation of its own: `make test-thorough`"
)
def test_a_small_run_of_the_page(measured: dict[str, Any]) -> None:
    if "page" not in measured:
        pytest.skip(str(page.missing()))
    told = measured["page"]["page"]
    assert {"shell_kb", "wheel_kb", "first_bar_ms", "lanes_frame_ms", "list_ms"} < set(told)
    assert all(value > 0 for value in told.values())


def test_figures_of_the_page_have_a_table_of_their_own() -> None:
    shown = row("page", 100, [replace(sample(), page={"list_ms": ms}) for ms in (300.0, 200.0, 1_000.0)])

    assert json.loads(line(shown))["page"] == {"list_ms": 300}
    table = tables([shown])[-1]
    assert table.title == "The page"
    assert [list(column.cells) for column in table.columns[2:]] == [["list_ms"], ["300.00"]]


def test_without_a_browser_the_page_is_an_error_and_says_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_DASHBOARD", tmp_path)

    assert main(["page"], repeat=1) == 1
    assert "clone of the repository" in capsys.readouterr().err

    (tmp_path / "browser").mkdir()
    assert main(["page"], repeat=1) == 1
    assert "make page" in capsys.readouterr().err


@pytest.mark.real
def test_a_small_run_of_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    # Enough runs for the kernel's clock, which ticks in 10 ms, to see every part at work.
    assert main(["single"], json=True, n=1_000, repeat=1) == 0

    [told] = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert list(told) == KEYS
    assert (told["workload"], told["n"], told["p50_ms"]) == ("single", 1_000, None)
    assert told["runs_per_s"] == told["steps_per_s"] > 0
    assert told["records_per_s"] == pytest.approx(2 * told["runs_per_s"], rel=0.01)
    assert all(told["cpu_s"][part] > 0 for part in COUNTED if part != "ingress")
    assert told["cpu_ms_per_step"] == pytest.approx(sum(told["cpu_s"][part] for part in COUNTED), rel=0.01)
    assert all(told["peak_mb"][part] > 10 for part in PARTS if part != "ingress"), told["peak_mb"]
    assert not list(tmp_path.iterdir())
    assert not [one for one in psutil.Process().children() if "reconciler" in " ".join(one.cmdline())]
