"""What a worker's own log says of attempts: which one wrote a line, and where in the code one failed."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from cpu_flow import cpu
from worker_site import working

from stream_durable import Context, Fail, Workflow
from stream_durable.log_lines import configure_logging

_library = logging.getLogger("library")

OF_THE_ATTEMPT = {"workflow": "flow", "run": "r1", "step": "a", "attempt": 2}


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("stream_durable")
    handlers, level = root.handlers[:], ours.level
    yield io.StringIO()
    root.handlers[:] = handlers
    ours.setLevel(level)


async def say(flow: Workflow, **asked: Any) -> None:
    async with working(flow) as site:
        site.ask("a", run="r1", attempt=2, **asked)
        await site.end()


def flow_of(function: Any, **options: Any) -> Workflow:
    flow = Workflow("flow")
    flow.add("a", function, **options)
    return flow


def parsed(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


async def test_every_line_of_a_step_says_whose_it_is_in_json(out: io.StringIO) -> None:
    async def writes(ctx: Context) -> None:
        ctx.log.info("reserving", extra={"items": 2})
        await asyncio.to_thread(_library.warning, "slow")
        _library.warning("mine", extra={"run": "of the library"})

    configure_logging("info", "json", stream=out)
    await say(flow_of(writes))

    lines = [line for line in parsed(out) if line["event"] in ("reserving", "slow", "mine")]
    assert [line["event"] for line in lines] == ["reserving", "slow", "mine"]
    assert [line["run"] for line in lines] == ["r1", "r1", "of the library"]
    assert lines[0]["items"] == 2
    assert all({**line, **OF_THE_ATTEMPT, "run": line["run"]} == line for line in lines)


async def test_every_line_of_a_step_says_whose_it_is_on_a_console(out: io.StringIO) -> None:
    def writes(ctx: Context) -> None:
        ctx.log.info("reserving")
        _library.warning("slow")

    configure_logging("info", "console", stream=out)
    await say(flow_of(writes))

    for word in ("reserving", "slow"):
        (line,) = [line for line in out.getvalue().splitlines() if word in line]
        assert all(f"{name}={value}" in line for name, value in OF_THE_ATTEMPT.items())


async def test_a_program_that_embeds_a_worker_finds_the_attempt_in_its_own_format(out: io.StringIO) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(run)s/%(step)s/%(attempt)s %(message)s"))
    handler.addFilter(lambda record: record.name == "library")
    logging.getLogger().addHandler(handler)
    await say(flow_of(lambda: _library.warning("slow")))

    assert out.getvalue() == "r1/a/2 slow\n"


async def test_lines_of_a_process_of_its_own_are_shown_as_the_workers_are(
    capfd: pytest.CaptureFixture[str], out: io.StringIO
) -> None:
    configure_logging("info", "json")
    async with working(cpu, processes=1) as site:
        site.ask("work", run="r1", attempt=2, input={"do": "it"})
        await site.end()

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["logged", "said"]
    ours = {**OF_THE_ATTEMPT, "workflow": "cpu", "step": "work"}
    assert all({**line, **ours} == line for line in lines)


async def test_a_failed_attempt_is_logged_with_the_place_in_the_code(out: io.StringIO) -> None:
    def fails() -> None:
        return {}["key"]

    configure_logging("info", "json", stream=out)
    await say(flow_of(fails))

    (line,) = [line for line in parsed(out) if line["event"] == "attempt.failed"]
    assert {**line, **OF_THE_ATTEMPT, "code": "KeyError", "reason": "'key'", "level": "warning"} == line
    assert "in fails\n" in line["trace"]
    assert line["trace"].endswith("KeyError: 'key'\n")


async def test_on_a_console_the_stack_trace_stands_below_over_several_lines(out: io.StringIO) -> None:
    def fails() -> None:
        raise LookupError("of no avail")

    configure_logging("info", "console", stream=out)
    await say(flow_of(fails))

    first, second, *_, last = out.getvalue().splitlines()
    assert "attempt.failed" in first
    assert all(f"{name}={value}" in first for name, value in OF_THE_ATTEMPT.items())
    assert second == "Traceback (most recent call last):"
    assert last == "LookupError: of no avail"


async def test_a_failure_that_an_author_declares_is_one_line(out: io.StringIO) -> None:
    def fails() -> None:
        raise Fail("no_stock", "there is no tea")

    configure_logging("info", "console", stream=out)
    await say(flow_of(fails))

    (line,) = out.getvalue().splitlines()
    assert "attempt.failed" in line
    assert "there is no tea" in line


async def test_an_attempt_that_the_run_dropped_is_not_logged_as_failed(out: io.StringIO) -> None:
    begun = asyncio.Event()

    async def waits() -> None:
        begun.set()
        await asyncio.Event().wait()

    configure_logging("info", "json", stream=out)
    async with working(flow_of(waits)) as site:
        site.ask("a", run="r1")
        await begun.wait()
        site.cancel("a", run="r1", must_answer=True)
        await site.end()

    assert out.getvalue() == ""


async def test_a_step_that_no_code_serves_is_named_once(out: io.StringIO) -> None:
    configure_logging("info", "json", stream=out)
    async with working(flow_of(lambda: None)) as site:
        site.ask("gone", run="r1")
        site.ask("gone", run="r2")
        site.ask("lost", run="r3")
        await site.ends(3)

    found = [line for line in parsed(out) if line["event"] == "function.missed"]
    assert [line["step"] for line in found] == ["gone", "lost"]
    assert "gone" in found[0]["reason"]
