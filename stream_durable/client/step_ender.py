"""Calls that end a step from outside, by its name or by a token; and inquiries to a run."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol

from stream_durable.client import deciding
from stream_durable.client.edge import Edge
from stream_durable.client.ended_outside import completion_of, failure_of, heartbeat_of
from stream_durable.client.inquiries import Inquiry, asked, check_run
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import RunMessage
from stream_durable.core.run.state import Run
from stream_durable.ports import StoredRun
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.given import drawn


class HasId(Protocol):
    """A run in the caller's hands."""

    @property
    def id(self) -> str: ...


def id_of(run: str | HasId) -> str:
    """Return the id of a run given as such or by id."""
    return run if isinstance(run, str) else run.id


class StepEnder:
    """Ends steps of one run."""

    id: str
    _edge: Edge

    @abstractmethod
    async def _thawed(self) -> Run: ...

    @abstractmethod
    async def _tell(self, message: RunMessage) -> str: ...

    async def complete_step(
        self,
        step: str,
        value: Any = None,
        *,
        by: str = "",
        reason: str = "",
        attempt: int = 0,
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Complete a held step, or a `wait_token` without the token; the output is the value.

        Before a `wait_token` waits, the value is kept. Raises `RejectedError` for a step that has ended,
        and for a value that does not fit the type of a held step.
        """
        run, data = await self._thawed(), self._edge.values.plain(value, f"the output of step {step!r}")
        if deciding.is_held(run, step) and not attempt:
            message = deciding.completion(self._edge, run, step, data, by=by, reason=reason, id=id or drawn())
            return await self._tell(message)
        return await self._tell(completion_of(run, step, data, attempt, by=by, id=id or drawn()))

    async def fail_step(
        self,
        step: str,
        error: Fail | str = "",
        *,
        by: str = "",
        reason: str = "",
        attempt: int = 0,
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Fail a held step, or a `wait_token` without the token.

        Without `error` a held step fails as before it was held.
        """
        run = await self._thawed()
        if deciding.is_held(run, step) and not attempt:
            message = deciding.failure(run, step, error, by=by, reason=reason, id=id or drawn())
            return await self._tell(message)
        return await self._tell(failure_of(run, step, error, attempt, by=by, id=id or drawn()))

    async def heartbeat_step(self, step: str, *, attempt: int = 0) -> str:
        """Let the time for a heartbeat of a step begin again, without the step's token."""
        return await self._tell(heartbeat_of(await self._thawed(), step, attempt, id=drawn()))

    async def token(self, step: str) -> str:
        """Return the token of a step added by `wait_token`, as the functions of the run get it."""
        attempt = heartbeat_of(await self._thawed(), step, 0, id=drawn()).attempt
        return self._edge.ports.tokens.sign(self.id, step, attempt)

    @abstractmethod
    async def _stored(self) -> StoredRun: ...

    @abstractmethod
    async def _taken(self) -> StepEnder: ...

    async def ask(
        self,
        name: str,
        data: Any = None,
        *,
        timeout: Duration | None = "30s",  # noqa: ASYNC109 - the contract
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> Any:
        """Ask the run something that a function of its workflow answers (`@orders.answers("quote")`).

        Each `id` is asked once; a repeat returns the same answer while that is among the last hundred. For a
        merged run the taker answers. Raises `NoAnswer` where the function refuses or fails, or the run ends
        before; `RejectedError` for what nobody answers, data of a wrong form, and a run that has ended;
        `TimeoutError` without an answer by then: the function may still be called.
        """
        edge = self._edge
        body = edge.values.plain(data, f"what is asked of {name!r}")
        run = await self._taken()
        inquiry = Inquiry(run.id, name, id or drawn(), body)
        await check_run(edge, await run._stored(), inquiry)
        return await asked(edge, inquiry, [], run._stored, timeout)


class TokenEnder:
    """Ends steps of any run."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    @abstractmethod
    def _ender(self, run: str) -> StepEnder: ...

    async def complete(
        self,
        token: str | None = None,
        value: Any = None,
        *,
        run: str | HasId | None = None,
        step: str | None = None,
        by: str = "",
    ) -> str:
        """Complete a step added by `wait_token`, by its token or by run and step; its output is the value.

        Before the step waits, the value is kept for it. Raises `RejectedError` for a token that was altered
        (`forged_token`), used (`used_token`) or outlived by its step (`expired_token`).
        """
        handle, name, attempt = self._meant(token, run, step)
        return await handle.complete_step(name, value, by=by, attempt=attempt)

    async def fail(
        self,
        token: str | None = None,
        error: Fail | str = "",
        *,
        run: str | HasId | None = None,
        step: str | None = None,
        by: str = "",
    ) -> str:
        """Fail a step added by `wait_token`; a text as error has the code `failed`."""
        handle, name, attempt = self._meant(token, run, step)
        return await handle.fail_step(name, error, by=by, attempt=attempt)

    async def heartbeat(
        self, token: str | None = None, *, run: str | HasId | None = None, step: str | None = None
    ) -> str:
        """Say that what a step waits for is under way: the time of its `heartbeat=` begins again."""
        handle, name, attempt = self._meant(token, run, step)
        return await handle.heartbeat_step(name, attempt=attempt)

    def _meant(
        self, token: str | None, run: str | HasId | None, step: str | None
    ) -> tuple[StepEnder, str, int]:
        """Return the run, step and attempt that a token names, or that were named without a token."""
        if token is None and run is not None and step is not None:
            return self._ender(id_of(run)), step, 0
        if token is None or run is not None or step is not None:
            raise RejectedError("contradiction", "give a token, or run= and step=, and not both")
        named = self._edge.ports.tokens.read(token)
        return self._ender(named.run), named.step, named.attempt
