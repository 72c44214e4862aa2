"""What a step's function writes is kept with its attempt, and still shown."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
from typing import Any

import pytest
from worker_site import working

from stream_durable import Context, Workflow
from stream_durable.core.messages import AttemptFailed
from stream_durable.worker.logs import ALL, Keeping, Lines

_log = logging.getLogger("shop")


async def lines_of(function: Any, **settings: Any) -> list[tuple[str, str]]:
    flow = Workflow("flow")
    flow.add("a", function)
    async with working(flow, **settings) as site:
        site.ask("a")
        return [(line.level, line.text) for line in (await site.end()).logs]


async def test_lines_of_every_way_of_writing_are_kept_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    async def writes(ctx: Context) -> None:
        ctx.log.info("packing %s", "tea")
        print("half a", end=" ")
        print("line\nand another")
        _log.warning("the box is %s", "full")
        sys.stdout.write("unfinished")

    assert await lines_of(writes) == [
        ("info", "packing tea"),
        ("print", "half a line"),
        ("print", "and another"),
        ("warning", "the box is full"),
        ("print", "unfinished"),
    ]
    assert capsys.readouterr().out == "half a line\nand another\nunfinished"


async def test_functions_in_threads_and_what_they_hand_on_are_heard() -> None:
    def writes(ctx: Context) -> None:
        print("in the thread")
        for work in (contextvars.copy_context().run, lambda call: call()):
            thread = threading.Thread(target=work, args=(lambda: print("beside it"),))
            thread.start()
            thread.join()
        thread = threading.Thread(target=lambda: ctx.log.info("by the context"))
        thread.start()
        thread.join()

    assert await lines_of(writes) == [
        ("print", "in the thread"),
        ("print", "beside it"),
        ("info", "by the context"),
    ]


async def test_what_the_function_starts_on_the_loop_is_heard() -> None:
    async def inner() -> None:
        print("in a task")
        await asyncio.to_thread(print, "in its thread")

    async def writes() -> None:
        await asyncio.gather(inner())

    assert await lines_of(writes) == [("print", "in a task"), ("print", "in its thread")]


async def test_each_attempt_hears_its_own() -> None:
    both = asyncio.Barrier(2)

    async def writes(ctx: Context) -> None:
        await both.wait()
        print(ctx.run_id)
        await both.wait()
        _log.error(ctx.run_id)

    flow = Workflow("flow")
    flow.add("a", writes)
    async with working(flow) as site:
        site.ask("a", run="r1")
        site.ask("a", run="r2")
        ends = await site.ends(2)

    assert {end.key: [line.text for line in end.logs] for end in ends} == {"r1": ["r1"] * 2, "r2": ["r2"] * 2}


async def test_a_task_that_outlives_its_attempt_speaks_for_nobody() -> None:
    release, left = asyncio.Event(), []

    async def late() -> None:
        await release.wait()
        print("late")

    async def writes(ctx: Context) -> None:
        if ctx.run_id == "r1":
            left.append(asyncio.create_task(late()))
        else:
            release.set()
            await left[0]

    flow = Workflow("flow")
    flow.add("a", writes)
    async with working(flow, concurrency=1) as site:
        site.ask("a", run="r1")
        site.ask("a", run="r2")
        ends = await site.ends(2)

    assert [end.logs for end in ends] == [(), ()]


async def test_lines_before_a_failure_are_kept_with_its_traceback_where_it_was_logged() -> None:
    def fails(ctx: Context) -> None:
        try:
            raise KeyError("tea")
        except KeyError:
            ctx.log.exception("no luck")
        raise ValueError("gone")

    ((level, text),) = await lines_of(fails)

    assert level == "error"
    assert text.startswith("no luck\nTraceback")
    assert text.endswith("KeyError: 'tea'")


async def test_a_line_that_cannot_be_put_into_words_is_no_failure() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    def writes(ctx: Context) -> None:
        ctx.log.info("%s", Odd())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging, "raiseExceptions", False)
        assert await lines_of(writes) == [("info", "(a line that could not be written: RuntimeError)")]


def test_lines_are_bounded_in_number_and_the_last_says_how_many_were_left_out() -> None:
    lines = Lines()
    for i in range(ALL.lines_max + 7):
        lines.add("info", str(i))
    taken = lines.taken()

    assert len(taken) == ALL.lines_max + 1
    assert (taken[-2].text, taken[-1].text) == (str(ALL.lines_max - 1), "(7 more lines were left out)")


def test_lines_are_bounded_in_length_and_in_all() -> None:
    lines = Lines()
    for _ in range(100):
        lines.add("info", "\x00" * 10_000)
    lines.print("y" * 1_000_000)
    taken = lines.taken()

    assert len(taken[0].text) == ALL.line_length_max
    assert sum(6 * len(line.text) for line in taken[:-1]) <= ALL.bytes_max
    assert taken[-1].text.endswith("more lines were left out)")


def test_text_that_is_not_unicode_is_kept() -> None:
    lines = Lines()
    lines.add("info", "file \udcff")

    assert lines.taken()[0].text == "file ?"


async def test_standard_output_is_as_it_was_when_no_worker_listens() -> None:
    before, handlers = sys.stdout, list(logging.getLogger().handlers)
    async with working(_flow()) as one, working(_flow()) as other:
        for site in (one, other):
            site.ask("a")
            await site.end()
        assert sys.stdout is not before
        assert sys.stdout.isatty() == before.isatty()

    assert sys.stdout is before
    assert logging.getLogger().handlers == handlers


def _flow() -> Workflow:
    flow = Workflow("flow")
    flow.add("a", lambda: None)
    return flow


async def writes_all(ctx: Context) -> None:
    for level in ("info", "warning", "error"):
        getattr(ctx.log, level)(level)
    print("printed")
    _log.warning("logged")


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"step_log_level": "warning"}, ["warning", "error", "printed", "logged"]),
        ({"step_log_print": False}, ["info", "warning", "error", "logged"]),
        ({"step_log_level": "none"}, []),
        ({"step_log_lines_max": 1}, ["info", "(4 more lines were left out)"]),
    ],
)
async def test_settings_say_which_lines_are_kept(settings: dict[str, Any], kept: list[str]) -> None:
    assert [text for _, text in await lines_of(writes_all, **settings)] == kept


def test_lines_are_as_long_as_the_settings_say() -> None:
    lines = Lines(keeping=Keeping(line_length_max=40))
    lines.print("x" * 100 + "\n")
    assert [len(line.text) for line in lines.taken()] == [40]


async def test_steps_without_a_time_of_their_own_have_that_of_the_settings() -> None:
    flow = Workflow("flow")

    async def late() -> None:
        await asyncio.sleep(30)

    flow.add("a", late)
    said = []
    for fields in ({}, {"timeout_ms": 70}):
        async with working(flow, step_timeout_ms=50) as site:
            site.ask("a", **fields)
            end = await site.end()
            assert isinstance(end, AttemptFailed)
            said.append(end.failure.message)
    assert said == ["the attempt did not end within 50 ms", "the attempt did not end within 70 ms"]
