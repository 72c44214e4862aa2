"""The engine for a test: runs are really started, time passes on request.

When a call returns, all its consequences have happened, as far as they need no time; from then on only time
or another call changes anything. The fixture `engine` of the pytest plugin gives an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, TypeVar, Unpack

from stream_durable.client.edge import Edge, Ports
from stream_durable.client.filter import OPEN, since_epoch
from stream_durable.client.rules import declare_rules
from stream_durable.client.starting import StartOptions
from stream_durable.core.bindings import Binding
from stream_durable.core.errors import RejectedError
from stream_durable.core.moments import moment
from stream_durable.core.status import PAUSED, PENDING, RUN_ENDED, WAITING
from stream_durable.ports import Record, RunQuery
from stream_durable.sdk.app import App
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.schedule import ScheduleOptions, declarations
from stream_durable.sdk.topic import Topic
from stream_durable.sdk.workflow import Workflow
from stream_durable.testing.backend import Backend, GaveUp, Goal, Passing, Rest, why_gave_up
from stream_durable.testing.handles import TestedRun
from stream_durable.testing.mishaps import Target
from stream_durable.testing.rows import asking_step, is_tried
from stream_durable.testing.verbs import ClientVerbs
from stream_durable.testing.virtual import VirtualBackend

R = TypeVar("R")

#: Time limit of a call's search for a condition, by default.
WITHIN: Final = "30d"
_RUNS_MAX = 1_000
_KNOWN: Final = OPEN | RUN_ENDED
#: Stable statuses of a run: everything else may settle before a check.
_LASTING: Final = RUN_ENDED | {WAITING, PAUSED, PENDING}


class Stuck(AssertionError):  # noqa: N818 - it is read as a sentence
    """What a test waits for cannot come about, or takes too long."""


#: Named here, for in the engine `list` is what a client calls so.
_Runs: TypeAlias = list[TestedRun]


class Engine(ClientVerbs):
    """An instance of all services, for one test."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._target = backend.client
        self._engine = self

    @classmethod
    def memory(cls) -> Self:
        """Return an engine in memory, on virtual time; to be closed, or used with `with`."""
        return cls(VirtualBackend())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<engine {self._backend.name}>"

    @property
    def now(self) -> datetime:
        """The time, passing only on request."""
        return moment(self.now_ms)

    @property
    def now_ms(self) -> int:
        """The same in milliseconds since the epoch."""
        return self._backend.now()

    @property
    def ports(self) -> Ports:
        """The ports for a client of this instance."""
        return self._backend.ports

    @property
    def runs(self) -> _Runs:
        """All runs, including children, oldest first."""
        views = self.ports.views
        page = self.ask(lambda: views.run_list(RunQuery(), limit=_RUNS_MAX))
        return [self.run(run.id) for run in reversed(page.runs)]

    def run(self, id: str) -> TestedRun:  # noqa: A002 - the word for it everywhere
        """Return a run by id."""
        return TestedRun(self, self._target.run(id))

    async def start(
        self,
        workflow: Workflow[Any, Any] | str,
        input: Any = None,  # noqa: A002 - the word for it everywhere
        **options: Unpack[StartOptions],
    ) -> TestedRun:
        """Start a run as a client does; its workflow is carried from then on."""
        self._carry(workflow, options)
        target: Any = self._target
        return TestedRun(self, self.tell(lambda: target.start(workflow, input, **options)))

    async def create_schedule(
        self,
        name: str,
        workflow: Workflow[Any, Any] | str,
        input: Any = None,  # noqa: A002 - the word for it everywhere
        *,
        reason: str = "",
        by: str = "",
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Create a schedule as a client does; its workflow is carried from then on."""
        self._carry(workflow, {"queue": options.get("queue")})
        self.tell(
            lambda: self._target.create_schedule(name, workflow, input, reason=reason, by=by, **options)
        )

    async def deploy_app(self, app: App) -> None:
        """Deploy an app: its workflows, as `deploy` does, its schedules, its triggers and its bindings."""
        self.deploy(*app.workflows.values())
        edge, catalogue = Edge(self.ports), self.ports.catalogue

        async def declare() -> None:
            await edge.send_all(declarations(app.name, app.schedules), "declare schedules")
            await catalogue.catch_up()
            await declare_rules(catalogue, app.name, app.rules, since_epoch("now", edge.now()))

        bound = [rule.topic for rule in app.rules.values() if isinstance(rule, Binding)]
        if bound:
            self._backend.bind(bound)
        self.tell(declare)

    async def deliver(
        self,
        topic: Topic[Any] | str,
        value: Any,
        *,
        key: str | bytes | None = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> None:
        """Put a record on a topic of others, for its bindings.

        A value is written as the topic says, or as JSON; bytes go as they are, and None is a tombstone.
        """
        to = topic if isinstance(topic, Topic) else Topic(topic)
        data = value if value is None or isinstance(value, bytes) else to.encode(value)
        held = [(name, _bytes(text)) for name, text in (headers or {}).items()]
        self._backend.deliver(to.name, None if key is None else _bytes(key), data, held)
        self._settle()

    async def until_idle(self, *, within: Duration = WITHIN) -> None:
        """Let everything happen until only waits are left, for messages or for time.

        Time passes for attempts and for pauses before retries, not for waits: sleeps and time-outs go on with
        `advance`.
        """

        async def goal(rest: Rest) -> bool:
            return rest == Rest.QUIET and not await self._is_trying()

        gave_up = self._pass(goal, within)
        if gave_up is not None:
            raise Stuck(f"the engine did not come to rest: {why_gave_up(gave_up, within)}\n\n{self.tables()}")

    async def until_waiting(self, run: TestedRun, *, within: Duration = WITHIN) -> None:
        """Let everything happen until a run waits: for a message, a person or its time."""
        await self.until(run, WAITING, within=within)

    async def until_asked(self, run: TestedRun, wait: str | None = None, *, within: Duration = WITHIN) -> str:
        """Let everything happen until a step of a run, or the named step, asks; return the step's name."""
        views, asking = self.ports.views, ""

        async def goal(rest: Rest) -> bool:
            nonlocal asking
            asking = asking_step(await views.step_list(run.id, limit=100_000), wait)
            return bool(asking) and rest > Rest.BUSY

        gave_up = self._pass(goal, within)
        if gave_up is not None:
            what = "no step" if wait is None else f"step {wait!r}"
            raise Stuck(f"{what} of run {run.id!r} asks: {why_gave_up(gave_up, within)}\n\n{run.table}")
        return asking

    async def until(self, run: TestedRun, *statuses: str, within: Duration = WITHIN) -> None:
        """Let everything happen, and time pass as needed, until a run has one of these statuses."""
        if unknown := set(statuses) - _KNOWN:
            known = ", ".join(sorted(_KNOWN))
            raise ValueError(f"no run is ever {sorted(unknown)[0]!r}; there are {known}")
        views, last = self.ports.views, ""

        async def goal(rest: Rest) -> bool:
            nonlocal last
            row = await views.run_get(run.id)
            last = "" if row is None else row.status
            if last in RUN_ENDED or (last in statuses and last in _LASTING):
                return rest > Rest.BUSY
            return last in statuses

        gave_up = self._pass(goal, within)
        if gave_up is not None or last not in statuses:
            wanted = " or ".join(statuses)
            why = f"it has ended as {last}" if gave_up is None else why_gave_up(gave_up, within)
            raise Stuck(f"run {run.id!r} is {last or 'not there'}, not {wanted}: {why}\n\n{run.table}")

    async def advance(self, duration: Duration) -> None:
        """Let this much time pass, with everything happening meanwhile."""
        goes_to = self.now_ms + milliseconds(duration)

        async def goal(rest: Rest) -> bool:
            return self.now_ms >= goes_to and rest > Rest.BUSY

        gave_up = self._backend.pass_time(Passing(goal, goes_to, goes_there=True))
        if gave_up is not None:
            raise Stuck(f"{duration} did not pass: {why_gave_up(gave_up, duration)}\n\n{self.tables()}")

    def fail(self, step: Target, times: int = 1, error: BaseException | None = None) -> None:
        """Let the next attempts of a step fail with this error, without calling the function.

        An unknown name is refused with `RejectedError`: here, or by the first `start`.
        """
        self._check(step)
        self._backend.mishaps.fail(step, times, error)

    def stub(self, step: Target, answer: Any) -> None:
        """Let a step answer with this value; a function is called in place of the step's own."""
        self._check(step)
        self._backend.mishaps.stub(step, answer)

    def crash_after(self, step: Target, times: int = 1) -> None:
        """Let the worker die after the end of the function, and before the result is sent."""
        self._backend.check_crash()
        self._check(step)
        self._backend.mishaps.crash(step, "after", times)

    def crash_before(self, step: Target, times: int = 1) -> None:
        """Let the worker die when it is about to call the function."""
        self._backend.check_crash()
        self._check(step)
        self._backend.mishaps.crash(step, "before", times)

    def calls(self, step: Target) -> int:
        """Return the number of calls of a step's function, or of the stub."""
        return self._backend.mishaps.calls(step)

    def emitted(self, topic: Topic[Any] | str) -> Sequence[Record]:
        """Return the records emitted to a topic: key, value and headers of each."""
        return self._backend.emitted(topic if isinstance(topic, str) else topic.name)

    def deploy(self, *workflows: Workflow) -> None:
        """Deploy these workflows instead of those of the same names.

        Existing runs keep their definitions, and are served by the new functions; later runs begin the new
        versions.
        """
        self._backend.deploy(workflows)

    def redeliver(self) -> None:
        """Deliver everything once more that has reached the reconciler and the workers so far."""
        self._backend.redeliver()

    def restart(self) -> None:
        """Kill the reconciler; another takes over from the saved state."""
        self._backend.restart()

    def tables(self) -> str:
        """Return all runs as tables, for the output of a failing test."""
        return "\n\n".join(run.table for run in self.runs) or "there are no runs"

    def last_words(self) -> str:
        """Return the same when a test has failed, with whatever the failure has left of the engine."""
        try:
            return self.tables()
        except Exception as error:
            return f"they cannot be shown: {type(error).__name__}: {error}"

    def close(self) -> None:
        """End everything; all content is lost."""
        self._backend.close()

    def ask(self, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Run a coroutine of the client beside the services."""
        __tracebackhide__ = True
        try:
            return self._backend.do(make)
        except RejectedError as error:
            # It says what to do; where in here it was raised says nothing to the author of a test.
            raise error.with_traceback(None)  # noqa: B904 - the same error

    def tell(self, make: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Run a coroutine sending a message, and process the effects."""
        __tracebackhide__ = True
        result = self.ask(make)
        self._settle()
        return result

    def _settle(self) -> None:
        """Process the effects of everything sent."""

        async def goal(rest: Rest) -> bool:
            return rest > Rest.BUSY

        self._pass(goal, "0s")

    def _carry(self, workflow: object, options: StartOptions) -> None:
        """Let workers serve the workflow about to be started."""
        self._backend.carry(workflow if isinstance(workflow, Workflow) else None, options.get("queue"))
        self._backend.mishaps.check(self._backend.functions())
        if (after := options.pop("after", None)) is not None:
            # The client would count from the time of this machine.
            options["at"] = self.now + timedelta(milliseconds=milliseconds(after))

    def _check(self, step: Target) -> None:
        """Refuse an unknown step, as early as possible."""
        self._backend.mishaps.expect(step)
        self._backend.mishaps.check(self._backend.functions())

    def _pass(self, goal: Goal, within: Duration) -> GaveUp | None:
        return self._backend.pass_time(Passing(goal, self.now_ms + milliseconds(within)))

    async def _is_trying(self) -> bool:
        """Say whether a step, or a whole run, is about to be tried again, or was left by a dead worker."""
        views = self.ports.views
        page = await views.run_list(RunQuery(status=tuple(sorted(OPEN))), limit=_RUNS_MAX)
        for run in page.runs:
            if run.status == PENDING and run.attempt > 1:
                return True
            if any(map(is_tried, await views.step_list(run.id, limit=100_000))):
                return True
        return False


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
