"""Bodies of requests."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, cast

from fastapi import Body
from fastapi.responses import Response
from pydantic import BaseModel, Field

from stream_durable.api.callers import Caller
from stream_durable.api.conditions import (
    Conditions,
    DeadConditions,
    Id,
    InputConditions,
    Moment,
    RunConditions,
    Text,
)
from stream_durable.client.bulk_steps import StepVerb
from stream_durable.client.changing import ChangeOptions
from stream_durable.client.replaying import ReplayOptions
from stream_durable.sdk.durations import milliseconds
from stream_durable.sdk.retry import Retry

Reason = Annotated[str, Field(max_length=4_000, description="For people; it is kept and shown.")]
Span = Annotated[str, Field(max_length=40, description="A duration, such as `90s`, `1h30m` or `2d`.")]
Offset = Annotated[int, Field(ge=0, strict=True, description="An offset.")]
Tag = Annotated[str, Field(max_length=1_000)]


class Ordered(BaseModel):
    """A request acknowledged on the log, and applied in turn."""

    #: The id of the message: a run shows the latest requests with their ids.
    id: str


class StartBody(Conditions):
    """A run to start."""

    workflow: Id
    input: Any = None
    id: Annotated[Id | None, Field(description="Each id names one run.")] = None
    tags: Annotated[list[Tag], Field(max_length=100)] = []
    metadata: dict[str, Any] | None = None
    queue: Text | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    at: datetime | None = None
    after: Span | None = None
    timeout: Span | None = None
    attributes: Annotated[
        dict[str, Any], Field(description='By name; a moment as `{"moment": "2030-01-31T09:00:00Z"}`.')
    ] = {}
    signal: Annotated[Id | None, Field(description="Given to the run with the start, or alone.")] = None
    signal_data: Any = None
    signal_id: Id | None = None
    signal_ttl: Span | None = None
    due: Moment | None = None


class StartAgainBody(Conditions):
    """A run to start as another one was."""

    input: Annotated[Any, Field(description="The same, if it is left out.")] = None
    id: Annotated[Id | None, Field(description="Each id names one run.")] = None

    def options(self) -> dict[str, Any]:
        """Return the options for the client."""
        return {"input": self.input} if "input" in self.model_fields_set else {}


#: It may be left out: then the run starts as the other one did.
MayStartAgain = Annotated[StartAgainBody | None, Body()]


class ReasonBody(Conditions):
    """An act with a reason."""

    reason: Reason = ""


#: The body of an act that may go without.
MayReason = Annotated[ReasonBody | None, Body()]


class DrainBody(ReasonBody):
    """The emptying of a queue."""

    wait: Annotated[int, Field(ge=1, le=60, description="Seconds to wait for attempts under way.")] = 10


AllKeys = Annotated[bool, Field(description="All keys of a gate with limits for each key.")]


class GateBody(ReasonBody):
    """Limits of a gate to change; others stay."""

    key: Text = ""
    at_once: Annotated[int | None, Field(ge=1)] = None
    rate: Annotated[Text | None, Field(description="A count and a time, such as `10/1s`.")] = None
    burst: Annotated[int | None, Field(ge=0)] = None
    weights: Annotated[dict[str, int] | None, Field(max_length=1_000)] = None
    all_keys: AllKeys = False


class KeyBody(ReasonBody):
    """A key of a gate with limits for each key; empty: the gate itself."""

    key: Text = ""
    all_keys: AllKeys = False


class CancelBody(ReasonBody):
    """The end of a run."""

    #: Whether completed steps are undone.
    compensate: bool = False


class ResumeBody(ReasonBody):
    """Going on with a paused run."""

    context: Annotated[dict[str, Any] | None, Field(description="Merged into the run's context.")] = None


class RetryBody(ReasonBody):
    """Steps to retry: the failed ones, one and all later ones, or all."""

    step: Text | None = None
    whole: bool = False


class RetriesBody(Conditions):
    """The number of attempts, the pauses between, and which failures are retried."""

    attempts: Annotated[int, Field(ge=1, le=1_000_000)]
    backoff: Literal["fixed", "linear", "exponential"] = "exponential"
    base: Span = "1s"
    cap: Span = "1m"
    jitter: Annotated[float, Field(ge=0, le=1)] = 0
    on: Annotated[list[Text], Field(max_length=100, description="Codes to retry; empty: all.")] = []
    not_on: Annotated[list[Text], Field(max_length=100, description="Codes never to retry.")] = []


class ChangeBody(ReasonBody):
    """A change of a run with held steps; fields left out stay as before."""

    input: Any = None
    context: Annotated[
        dict[Text, Any] | None, Field(max_length=100, description="Values by paths, such as `order.total`.")
    ] = None
    step: Text | None = None
    retry: RetriesBody | None = None
    attempts: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    timeout: Span | None = None
    total: Span | None = None

    def options(self) -> ChangeOptions:
        """Return the options for the client."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set - {"reason"}}
        if self.retry is not None:
            given["retry"] = Retry(**self.retry.model_dump())
        found = {name: value for name, value in given.items() if value is not None or name == "input"}
        return cast("ChangeOptions", found)


class CompleteBody(ReasonBody):
    """The output of a step that is held or ended from outside."""

    output: Any = None


class FailBody(ReasonBody):
    """The failure of a step that is held or ended from outside."""

    error: Annotated[str, Field(max_length=4_000)] = ""


class SignalBody(Conditions):
    """A signal to a run."""

    data: Any = None
    id: Id | None = None
    ttl: Span | None = None
    at: datetime | None = None
    after: Span | None = None


class AskBody(Conditions):
    """An inquiry to a run."""

    data: Any = None
    id: Id | None = None
    wait: Annotated[int, Field(ge=0, le=60, description="Seconds to wait for the answer.")] = 30
    workflow: Annotated[Id | None, Field(description="Started first, unless the run exists.")] = None
    input: Any = None


class PublishBody(SignalBody):
    """An event to publish."""

    event: Id
    key: Annotated[Id | None, Field(description="Without one the event is for triggers alone.")] = None


class AnswerBody(Conditions):
    """An answer to a question."""

    answer: Any
    comment: Reason = ""


class AnswerAllBody(AnswerBody):
    """The same answer to many questions."""

    filter: InputConditions


class AssignBody(Conditions):
    """The new assignee of a question; an empty name: anybody."""

    to: Text
    role: Text | None = None
    comment: Reason = ""


class CommentBody(Conditions):
    """A note beside a question."""

    text: Annotated[str, Field(min_length=1, max_length=4_000)]


class BackfillBody(ReasonBody):
    """Moments of the past to start runs for."""

    since: datetime
    until: datetime
    pace: Span = "1s"
    preview: bool = False


class ReplayBody(ReasonBody):
    """Past records of a topic, by time or by offset."""

    since: datetime | Offset
    until: Annotated[datetime | Offset | None, Field(description="The present end, if it is left out.")] = (
        None
    )
    partition: Annotated[int | None, Field(ge=0)] = None
    pace: Span = "1ms"
    preview: bool = False

    def options(self, caller: Caller) -> ReplayOptions:
        """Return the options of the client; refuse an unreadable pace."""
        options: ReplayOptions = {
            "pace": timedelta(milliseconds=milliseconds(self.pace)), "preview": self.preview,
            "reason": self.reason, "by": caller.name,
        }  # fmt: skip
        if self.partition is not None:
            options["partition"] = self.partition
        return options


class SkipBody(ReasonBody):
    """The blocking record of a binding."""

    partition: Annotated[int, Field(ge=0)]
    offset: Offset


class ScheduleBody(ReasonBody):
    """A schedule, or changes of a schedule; fields left out stay, or have the default."""

    input: Any = None
    cron: Annotated[list[Text], Field(max_length=100)] | None = None
    every: Span | None = None
    at: Annotated[list[datetime], Field(max_length=1_000)] | None = None
    after: Span | None = None
    timezone: Text | None = None
    start: datetime | None = None
    end: datetime | None = None
    jitter: Span | None = None
    overlap: Literal["skip", "queue_one", "queue_all", "cancel", "allow"] | None = None
    catch_up: Span | None = None
    timeout: Span | None = None
    disable_after: int | None = None
    tags: Annotated[list[Tag], Field(max_length=100)] | None = None
    queue: Text | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] | None = None
    metadata: dict[str, Any] | None = None

    def options(self) -> dict[str, Any]:
        """Return the given options."""
        return self.model_dump(exclude_none=True, exclude={"name", "workflow", "input", "reason"})


class NewScheduleBody(ScheduleBody):
    """A schedule to create."""

    name: Id
    workflow: Id


class OperationBody(Conditions):
    """An act on all runs of a filter."""

    act: Literal["cancel", "pause", "resume", "retry", "review", "skip", "complete", "fail"]
    filter: RunConditions
    reason: Reason = ""
    compensate: bool = False
    whole: bool = False
    step: Annotated[
        Text | None,
        Field(
            description="Only this step. `complete` needs one; `skip` and `fail` mean all held steps else."
        ),
    ] = None
    output: Annotated[Any, Field(description="With `complete`: the output of the step.")] = None
    error: Annotated[str, Field(max_length=4_000, description="With `fail`: why.")] = ""
    context: Annotated[
        dict[str, Any] | None, Field(description="With `resume`: merged into the context of each run.")
    ] = None
    dry_run: Annotated[bool, Field(description="Count the runs, and do nothing.")] = False

    @property
    def verb(self) -> StepVerb | None:
        """The request to steps; None: whole runs are meant."""
        match self.act:
            case "skip" | "complete" | "fail":
                return self.act
            case "cancel" | "retry" if self.step is not None:
                return self.act
            case _:
                return None


class RedriveBody(ReasonBody):
    """Dead records to give again."""

    filter: DeadConditions
    at_most: Annotated[int, Field(ge=1, le=100_000, description="Records given.")] = 1_000
    preview: Annotated[bool, Field(description="Count the records, and give none.")] = False


def why(body: ReasonBody | None) -> str:
    """Return the reason of a body, or none."""
    return "" if body is None else body.reason


def ordered(caller: Caller, message: str) -> Response:
    """Return the answer to an acknowledged request."""
    return caller.answer({"id": message}, 202)
