"""The plugin, as the users' pytest has it."""

from __future__ import annotations

from textwrap import dedent

import pytest

pytest_plugins = ["pytester"]

FLOW = """
    import asyncio
    import pytest
    from stream_durable import Workflow
    from stream_durable.testing import Engine

    flow = Workflow("flow")
    go = flow.wait_signal("go", timeout="1h")
"""


@pytest.fixture
def users(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with one workflow, and none of our own options."""
    pytester.makeini("[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


def write(users: pytest.Pytester, test: str) -> None:
    """Write a module with the workflow and a test."""
    users.makepyfile(dedent(FLOW) + dedent(test))


def test_a_test_without_a_loop(users: pytest.Pytester) -> None:
    write(
        users,
        """
    def test_flow(engine: Engine) -> None:
        async def story() -> None:
            run = await engine.start(flow)
            await engine.signal(run.id, "go", 7)
            assert run.output == 7

        asyncio.run(story())
    """,
    )

    users.runpytest("-p", "no:asyncio", "-o", "asyncio_mode=").assert_outcomes(passed=1)


def test_a_test_with_a_loop_of_its_own(users: pytest.Pytester) -> None:
    write(
        users,
        """
    @pytest.mark.asyncio
    async def test_flow(engine: Engine) -> None:
        before = asyncio.get_running_loop().time()
        run = await engine.start(flow)
        await engine.advance("1h")
        assert run.status == "failed"
        assert asyncio.get_running_loop().time() - before < 60
    """,
    )

    users.runpytest().assert_outcomes(passed=1)


def test_the_report_of_a_failure_shows_the_runs(users: pytest.Pytester) -> None:
    write(
        users,
        """
    @pytest.mark.asyncio
    async def test_flow(engine: Engine) -> None:
        run = await engine.start(flow, id="run-1")
        assert run.status == "completed"
    """,
    )

    result = users.runpytest()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        "*- runs of the engine -*",
        "run run-1 of workflow flow is waiting, 0ms after its start",
        "  step  status   attempt  waits for           failure",
        "  go    waiting  1        signal go, 1h left",
    ])  # fmt: skip


def test_an_error_that_shows_them_is_enough(users: pytest.Pytester) -> None:
    write(
        users,
        """
    @pytest.mark.asyncio
    async def test_flow(engine: Engine) -> None:
        run = await engine.start(flow, id="run-1")
        await engine.until(run, "completed")
    """,
    )

    result = users.runpytest()

    result.stdout.fnmatch_lines(["*Stuck: run 'run-1' is failed, not completed: it has ended as failed"])
    result.stdout.no_fnmatch_line("*runs of the engine*")


def test_each_test_has_an_engine_of_its_own(users: pytest.Pytester) -> None:
    write(
        users,
        """
    @pytest.mark.asyncio
    @pytest.mark.parametrize("time", [1, 2])
    async def test_flow(engine: Engine, time: int) -> None:
        assert engine.runs == []
        assert (await engine.start(flow, id="run-1")).created
    """,
    )

    users.runpytest().assert_outcomes(passed=2)


@pytest.mark.parametrize("how", ["option", "ini", "parameter"])
def test_the_engine_is_chosen(users: pytest.Pytester, how: str) -> None:
    users.makeconftest("""
        import pytest
        from stream_durable.settings import Settings

        @pytest.fixture(scope="session")
        def stream_durable_services():
            pytest.skip("the real one was asked for")
    """)
    mark = '@pytest.mark.parametrize("engine", ["memory", "real"], indirect=True)'
    mark = mark if how == "parameter" else ""
    write(
        users,
        f"""
    {mark}
    def test_flow(engine: Engine) -> None:
        assert repr(engine) == "<engine memory>"
    """,
    )
    options = {
        "option": ["--stream-durable-engine=real"],
        "ini": ["-o", "stream_durable_engine=real"],
        "parameter": [],
    }

    result = users.runpytest(*options[how])

    result.assert_outcomes(skipped=1, passed=int(how == "parameter"))


def test_an_engine_that_there_is_not_is_refused(users: pytest.Pytester) -> None:
    users.makepyfile("def test_flow(engine): ...")

    result = users.runpytest("-o", "stream_durable_engine=reel")

    result.stdout.fnmatch_lines(["*there is no engine 'reel': take 'memory' or 'real'*"])


def test_nothing_is_loaded_until_a_test_asks_for_it(users: pytest.Pytester) -> None:
    users.makepyfile("""
    import sys

    def test_modules():
        assert "stream_durable.testing.plugin" in sys.modules
        assert not {"stream_durable.testing.engine", "confluent_kafka", "asyncpg"} & set(sys.modules)
    """)

    users.runpytest_subprocess().assert_outcomes(passed=1)
