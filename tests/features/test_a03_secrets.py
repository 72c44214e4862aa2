"""A3: what a secret field holds is shown nowhere: in no log, no public event, no failure, no output."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, SecretStr

from stream_durable import Context, Expand, Fail, Finish, Happened, Jump, Results, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine, TestedRun

SECRET = "hunter2-4711"


class Login(BaseModel):
    user: str
    password: SecretStr


class Strict(BaseModel):
    password: SecretStr
    n: int


def login(user: str) -> Login:
    return Login(user=user, password=SecretStr(SECRET))


@pytest.fixture
def shown(
    engine: Engine, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Callable[[TestedRun], str]:
    """Return all that is said about a run: state, public events, attempts, and what the process wrote."""
    caplog.set_level(logging.DEBUG)

    def everything(run: TestedRun) -> str:
        events = [msgspec.to_builtins(event) for event in run.events]
        attempts = engine.ask(run._target.attempts)
        written = capfd.readouterr()
        return "\n".join(
            map(str, (events, run.state, run.table, attempts, caplog.text, written.out, written.err))
        )

    return everything


async def test_it_is_masked_wherever_it_is_written(engine: Engine, shown: Callable[[TestedRun], str]) -> None:
    flow = Workflow("login", input=Login)

    @flow.template
    def again(item: Login) -> Login:
        return item

    @flow.step
    def first(login: Login, ctx: Context) -> Login:
        ctx.log.info("logging in %s", login)
        logging.getLogger("shop").warning("%r", login)
        print(login)
        ctx.put("login", login)
        ctx.append("logins", login)
        return login

    @flow.step
    def more(first: Login) -> Expand:
        return Expand([again.of(login("item"))])

    @flow.step(after=more)
    def jumps() -> Jump:
        return Jump("end", login("jump"))

    flow.parallel("group", [first])

    @flow.step(after=jumps)
    def end(group: Results[Login]) -> Finish:
        return Finish([login("end"), {"in": group.ok["first"]}])

    run = await engine.start(flow, login("input"))
    await engine.until_idle()
    masked = "**********"
    assert run.output == [
        {"user": "end", "password": masked},
        {"in": {"user": "input", "password": masked}},
    ]
    assert SECRET not in shown(run)


def raises_itself() -> None:
    Strict.model_validate({"password": SECRET, "n": SECRET})


def raises_with_it_as_the_cause() -> None:
    try:
        raises_itself()
    except ValueError as error:
        raise RuntimeError("nobody can log in") from error


def raises_while_it_is_handled() -> None:
    try:
        raises_itself()
    except ValueError:
        raise RuntimeError("nobody can log in")  # noqa: B904 - the context is what is tested


def raises_it_in_a_group() -> None:
    try:
        raises_itself()
    except ValueError as error:
        raise ExceptionGroup("several", [ExceptionGroup("inner", [error])]) from None


def raises_it_in_the_text_of_a_model() -> None:
    raise Fail("denied", f"{login('tom')} may not", details={"login": str(login("tom"))}, retryable=False)


def returns_what_does_not_fit() -> Strict:
    return Strict.model_construct(password=SecretStr(SECRET), n=SECRET)  # type: ignore[arg-type]


def returns_what_is_no_json() -> Any:
    return {"password": SecretStr(SECRET), "n": object()}


def keeps_what_is_no_json(ctx: Context) -> None:
    ctx.put("k", {"password": SecretStr(SECRET), "n": object()})


def finishes_with_what_does_not_fit() -> Finish:
    return Finish(returns_what_does_not_fit())


@pytest.mark.parametrize(
    "function",
    [
        raises_itself,
        raises_with_it_as_the_cause,
        raises_while_it_is_handled,
        raises_it_in_a_group,
        raises_it_in_the_text_of_a_model,
        returns_what_does_not_fit,
        returns_what_is_no_json,
        keeps_what_is_no_json,
        finishes_with_what_does_not_fit,
    ],
)
async def test_a_failure_does_not_show_it(
    engine: Engine, shown: Callable[[TestedRun], str], function: Callable[..., Any]
) -> None:
    flow = Workflow("login")
    told: list[str] = []
    flow.add("step", function)

    @flow.on_failure
    def failed(happened: Happened) -> None:
        told.append(str(happened))

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed"
    assert SECRET not in shown(run)
    assert told
    assert SECRET not in told[0]


async def test_a_value_that_does_not_fit_a_parameter_is_not_in_the_failure(engine: Engine) -> None:
    flow = Workflow("login")
    flow.add("make", lambda: {"password": "x", "n": SECRET})

    @flow.step
    def take(make: Strict) -> None: ...

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.failure is not None
    assert run.failure.message.startswith(
        "workflow 'login', step 'take': the parameter 'make' does not fit: n: "
    )
    assert SECRET not in str(run.failure)


async def test_an_input_that_is_refused_is_not_in_the_error(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    flow = Workflow("login", input=Strict)
    flow.add("a", lambda input: None)
    with pytest.raises(RejectedError) as caught:
        await engine.start(flow, {"password": SECRET, "n": SECRET})
    assert str(caught.value) == (
        "the input of workflow 'login' does not fit: "
        "n: Input should be a valid integer, unable to parse string as an integer"
    )
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert SECRET not in caplog.text
