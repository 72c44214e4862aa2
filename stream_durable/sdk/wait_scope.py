"""Definition of steps that wait: for a time, signals, events, people, other systems."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar, Unpack

from stream_durable.core.definition.nodes import EventNode
from stream_durable.sdk.asking import input_node
from stream_durable.sdk.draft import Draft
from stream_durable.sdk.drafting import Place, order_of
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.moments import Until
from stream_durable.sdk.options import Options, name_of
from stream_durable.sdk.origin import author_frame, origin_of_call
from stream_durable.sdk.step_options import AskOptions, NodeOptions, OrderOptions
from stream_durable.sdk.steps import Step
from stream_durable.sdk.wait_nodes import signal_node, sleep_node, token_node

if TYPE_CHECKING:
    from stream_durable.sdk.workflow import Workflow

_AnyStep = TypeVar("_AnyStep", bound=Step)


class WaitScope:
    """Adds steps that no worker makes."""

    _workflow: Workflow
    _place = Place()

    @abstractmethod
    def _keep(self, draft: Draft, step: _AnyStep) -> _AnyStep: ...

    def sleep(
        self,
        name: str,
        duration: Duration | None = None,
        *,
        until: Until | None = None,
        zone: str | None = None,
        **options: Unpack[OrderOptions],
    ) -> Step:
        """Add a step ending after a time, or at a moment by the calendar of a time zone.

        `until` is a path to a moment in ISO 8601, such as `input.ship_at`, a `datetime`, or a rule:
        `NextWeekday`, `NextBusinessDay`, `EndOf`. A moment in the past ends the step at once. `zone` is the
        name of an IANA time zone, UTC by default, or a path to one.
        """
        options_of = Options(f"step {name_of(name)!r}")
        order = order_of(options_of, options, OrderOptions, self._workflow, self._place)
        node = sleep_node(options_of, name_of(name), duration, until, zone, order)
        draft = Draft(node, origin_of_call(author_frame()), options_of)
        return self._keep(draft, Step(self._workflow, draft))

    def wait_signal(
        self,
        name: str,
        signal: str | None = None,
        *,
        any_of: Iterable[str] | None = None,
        all_of: Iterable[str] | None = None,
        timeout: Duration | None = None,
        on_timeout: object = "fail",
        **options: Unpack[NodeOptions],
    ) -> Step:
        """Add a step ending when a signal comes to the run; the output is the signal's data.

        The signal is named like the step unless `signal` is given. With several in `any_of` the output is
        `{"signal": name, "data": ...}`; with `all_of` the step needs one of each, and the output has their
        data by name. On time-out the step fails with `timeout`, or completes with `on_timeout`.
        """
        name = name_of(name)
        options_of = Options(f"wait {name!r}")
        order = order_of(options_of, options, NodeOptions, self._workflow, self._place)
        limit = options_of.time_limit(timeout, on_timeout)
        node = signal_node(options_of, name, signal, any_of, all_of, limit, order)
        draft = Draft(node, origin_of_call(author_frame()), options_of)
        return self._keep(draft, Step(self._workflow, draft))

    def wait_event(
        self,
        name: str,
        event: str,
        *,
        key: str,
        take: bool = False,
        timeout: Duration | None = None,
        on_timeout: object = "fail",
        **options: Unpack[NodeOptions],
    ) -> Step:
        """Add a step ending at an event of this name and key, past or future.

        The output is the event's data. `key` is a path to the correlation key, such as `input.id`, or
        `charge.number`, adding a dependency on the step `charge`. With `take` no other wait that takes gets
        the same event: the one that has waited longest does.
        """
        options_of = Options(f"wait {name_of(name)!r}")
        order = order_of(options_of, options, NodeOptions, self._workflow, self._place)
        limit_ms, output = options_of.time_limit(timeout, on_timeout)
        node = EventNode(
            name=name_of(name), event=name_of(event), key=name_of(key), take=options_of.flag("take=", take),
            timeout_ms=limit_ms, on_timeout=output, **order,
        )  # fmt: skip
        draft = Draft(node, origin_of_call(author_frame()), options_of)
        return self._keep(draft, Step(self._workflow, draft))

    def wait_token(
        self,
        name: str,
        *,
        heartbeat: Duration | None = None,
        timeout: Duration | None = None,
        on_timeout: object = "fail",
        **options: Unpack[NodeOptions],
    ) -> Step:
        """Add a step ended by anybody who has its token, which functions get as `ctx.token("delivered")`.

        An end before the wait is kept. After the time-out, or so long without a heartbeat, the step fails.
        """
        options_of = Options(f"wait {name_of(name)!r}")
        order = order_of(options_of, options, NodeOptions, self._workflow, self._place)
        node = token_node(options_of, name_of(name), heartbeat, timeout, on_timeout, order)
        draft = Draft(node, origin_of_call(author_frame()), options_of)
        return self._keep(draft, Step(self._workflow, draft))

    def ask(self, name: str, **options: Unpack[AskOptions]) -> Step:
        """Add a step asking people; the first fitting answer is the output.

        The answer is true or false; one of `choices`, or with `several` a list of some; or a value of `form`:
        `str`, `int`, `float`, `date`, a pydantic model, any type pydantic reads, or a JSON Schema. Prompt,
        role, assignee and texts in the metadata may hold paths, as in `"Ship {input.id}?"`. `due` is the
        expected time of the answer. On time-out the step fails with `timeout`, or completes with
        `on_timeout`.
        """
        options_of = Options(f"wait {name_of(name)!r}")
        order = order_of(options_of, options, AskOptions, self._workflow, self._place)
        node = input_node(options_of, name_of(name), options, order)
        draft = Draft(node, origin_of_call(author_frame()), options_of)
        return self._keep(draft, Step(self._workflow, draft))
