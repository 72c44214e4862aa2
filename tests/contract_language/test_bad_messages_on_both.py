"""Bad messages from outside: an error names thing, cause and remedy; past every edge there is evidence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import pytest
from msgspec import Raw
from pydantic import BaseModel

from stream_durable import Context, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import ASKS, TOKENS
from stream_durable.core.messages import AnswerInput, CompleteStep, Message
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]

RUNS: Final = ("open", "done", "late")


class Rating(BaseModel):
    stars: int


def _answer(run: str, wait: str, data: bytes, message: str = "again") -> Message:
    return AnswerInput(key=run, id=f"{message}", format=ASKS, wait=wait, answer=Raw(data))


def _end(run: str) -> Message:
    return CompleteStep(key=run, id="again", format=TOKENS, step="delivered", attempt=1, output=Raw(b"1"))


async def _told(engine: Engine, bad: Refused, tokens: dict[str, str]) -> None:
    engine.tell(lambda: bad.call(engine._target, tokens))


class Refused(NamedTuple):
    """A call, the code of its error, and what the error names: thing, cause and remedy."""

    code: str
    named: tuple[str, ...]
    call: Callable[[Any, dict[str, str]], Awaitable[Any]]


#: The run `open` waits, `done` has got what it waited for, and `late` has waited in vain.
REFUSED: Final[dict[str, Refused]] = {
    "an answer to an unknown wait": Refused(
        "unknown_wait",
        ("step 'rate' of run 'open'", "asks people", "is 'rated' meant?"),
        lambda client, tokens: client.answer("open", "rate", {"stars": 1}),
    ),
    "an answer to a step that asks later": Refused(
        "not_asked",
        ("step 'next' of run 'open'", "has not asked yet", "wait until it does"),
        lambda client, tokens: client.answer("open", "next", True),
    ),
    "an answer of a wrong form": Refused(
        "invalid_answer",
        ("the answer to 'rated'", "stars: it is not of type", "inputs list"),
        lambda client, tokens: client.answer("open", "rated", {"stars": "many"}),
    ),
    "a second answer": Refused(
        "already_answered",
        ("step 'rated' of run 'done'", "was answered by ann", "runs show"),
        lambda client, tokens: client.answer("done", "rated", {"stars": 2}),
    ),
    "an answer after the time-out": Refused(
        "not_waiting",
        ("step 'rated' of run 'late'", "at its time-out", "runs retry"),
        lambda client, tokens: client.answer("late", "rated", {"stars": 2}),
    ),
    "an answer in no run": Refused(
        "unknown_run",
        ("no run 'nobody'", "check the id"),
        lambda client, tokens: client.answer("nobody", "rated", {"stars": 2}),
    ),
    "a forged token": Refused(
        "forged_token",
        ("the token's signature", "it was altered", "tokens show"),
        lambda client, tokens: client.complete(tokens["open"][:-9] + "AAAAAAAAA", 1),
    ),
    "no token": Refused(
        "bad_token",
        ("not a token", "begins with sdt_", "passed on unchanged"),
        lambda client, tokens: client.complete("open/delivered/1", 1),
    ),
    "a used token": Refused(
        "used_token",
        ("step 'delivered' of run 'done'", "was ended from outside before", "runs show"),
        lambda client, tokens: client.complete(tokens["done"], 1),
    ),
    "a token after the time-out": Refused(
        "expired_token",
        ("step 'delivered' of run 'late'", "at its time-out", "runs retry"),
        lambda client, tokens: client.complete(tokens["late"], 1),
    ),
    "an event of 2 MB": Refused(
        "too_large",
        ("event 'paid'", "2000002 bytes", "keep it elsewhere"),
        lambda client, tokens: client.publish("paid", key="1", data="x" * 2_000_000),
    ),
    "an event with a key of 10 kB": Refused(
        "bad_key",
        ("key of an event", "has 10000", "take a shorter one"),
        lambda client, tokens: client.publish("paid", key="k" * 10_000),
    ),
    "an event without a key": Refused(
        "bad_key",
        ("key of an event", "has 0", "give what its waits have in common"),
        lambda client, tokens: client.publish("paid", key=""),
    ),
    "a signal of 2 MB": Refused(
        "too_large",
        ("signal 'go'", "2000002 bytes", "keep it elsewhere"),
        lambda client, tokens: client.signal("open", "go", "x" * 2_000_000),
    ),
    "a signal to an id of 10 kB": Refused(
        "bad_id",
        ("a run's id", "this one 10000", "take a shorter one"),
        lambda client, tokens: client.signal("r" * 10_000, "go"),
    ),
}

#: What is on the log all the same, and the evidence of it.
PAST_THE_EDGE: Final[dict[str, tuple[Message, str, str]]] = {
    "an answer to an unknown wait": (
        _answer("open", "rate", b"1"),
        "dead",
        "input.answer unknown_wait no step",
    ),
    "an answer to a step that asks later": (
        _answer("open", "next", b"true"),
        "dead",
        "input.answer not_asked",
    ),
    "an answer of a wrong form": (_answer("open", "rated", b"[]"), "dead", "input.answer invalid_answer"),
    "an answer known by its id": (
        _answer("done", "rated", b'{"stars":5}', "a1"),
        "duplicate",
        "input.answer",
    ),
    "a second answer": (_answer("done", "rated", b'{"stars":2}'), "late", "input.answer"),
    "an answer after the time-out": (_answer("late", "rated", b'{"stars":2}'), "late", "input.answer"),
    "a second end": (_end("done"), "late", "step.complete"),
    "an end after the time-out": (_end("late"), "late", "step.complete"),
}


def orders(tokens: dict[str, str]) -> Workflow:
    flow = Workflow("order")

    @flow.step
    def first(ctx: Context) -> None:
        tokens[ctx.run_id] = ctx.token("delivered")

    rated = flow.ask("rated", form=Rating, after=first, timeout="1h", on_timeout=None)
    delivered = flow.wait_token("delivered", after=first, timeout="1h", on_timeout=None)
    flow.ask("next", after=[rated, delivered])
    return flow


async def begin(engine: Engine) -> dict[str, str]:
    """Bring three runs to where the tables find them; return their tokens."""
    tokens: dict[str, str] = {}
    flow = orders(tokens)
    await engine.until_waiting(await engine.start(flow, id="late"))
    await engine.advance("1h")
    for name in ("open", "done"):
        await engine.until_asked(await engine.start(flow, id=name), "rated")
    await engine.answer("done", "rated", {"stars": 5}, by="ann", id="a1")
    await engine.complete(tokens["done"], 5)
    return tokens


async def test_an_error_names_thing_cause_and_remedy_and_nothing_has_changed(engine: Engine) -> None:
    tokens = await begin(engine)
    before = [engine.ask(lambda run=run: engine._target.history(run)) for run in RUNS]

    for name, bad in REFUSED.items():
        with pytest.raises(RejectedError) as caught:
            await _told(engine, bad, tokens)
        assert caught.value.code == bad.code, (name, str(caught.value))
        assert all(part in str(caught.value) for part in bad.named), (name, str(caught.value))
        assert len(str(caught.value)) < 500, name

    assert [engine.ask(lambda run=run: engine._target.history(run)) for run in RUNS] == before


async def test_past_the_edge_it_is_evidence_and_nothing_has_changed(engine: Engine) -> None:
    await begin(engine)
    client = engine._target
    before = {run: engine.ask(lambda run=run: client.history(run)) for run in RUNS}

    for message, _, _ in PAST_THE_EDGE.values():
        engine.tell(lambda message=message: client._edge.send(message, "send it"))
    await engine.until_idle()

    for run in RUNS:
        whole = engine.ask(lambda run=run: client.history(run, evidence=True))
        assert [one for one in whole if one in before[run]] == before[run]
        evidence = [(one.what, one.text) for one in whole if one not in before[run]]
        wanted = {name: case for name, case in PAST_THE_EDGE.items() if case[0].key == run}
        assert len(evidence) == len(wanted)
        for name, (_, outcome, begins) in wanted.items():
            assert any(what == outcome and text.startswith(begins) for what, text in evidence), (
                name,
                evidence,
            )
