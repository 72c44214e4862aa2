"""The workflows of one deployment, checked together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, Unpack, overload

import msgspec

from stream_durable.core.declared import Rule, rule_key
from stream_durable.core.definition.about import About
from stream_durable.core.definition.guards import QueueRule
from stream_durable.core.definition.nodes import Definition
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import NAME
from stream_durable.core.lanes import parts_of
from stream_durable.core.messages import Plan
from stream_durable.sdk.bindings import binding_of
from stream_durable.sdk.errors import DefinitionError, DefinitionFault, NotCarriedError
from stream_durable.sdk.given import Values
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.lineage import with_children
from stream_durable.sdk.options import name_of
from stream_durable.sdk.origin import author_frame, origin_of_call
from stream_durable.sdk.queue_rule import rule_of
from stream_durable.sdk.rules import Paths, RuleOptions
from stream_durable.sdk.schedule import ScheduleOptions, plan_of
from stream_durable.sdk.topic import Descriptors, Topic, TopicFormat
from stream_durable.sdk.triggers import trigger_of
from stream_durable.sdk.workflow import In, Workflow

V = TypeVar("V")


class App:
    """The unit of deployment: a name and workflows, with all children.

    Raises one `DefinitionError` for the faults of all workflows.
    """

    def __init__(self, name: str, *, workflows: Iterable[Workflow]) -> None:
        self.name = name_of(name)
        self.origin = origin_of_call(author_frame())
        given: list[object] = list(workflows)
        own = dict.fromkeys(each for each in given if isinstance(each, Workflow))
        carried = with_children(own)
        known = list(dict.fromkeys((*own, *carried)))
        faults = [*self._faults(given, known), *_faults_of(known)]
        if faults:
            raise DefinitionError(faults)
        #: Declared schedules, by name.
        self.schedules: dict[str, Plan] = {}
        #: The texts of Avro schemas of declared topics, by topic and fingerprint.
        self.schemas: dict[tuple[str, str], str] = {}
        #: Declared triggers and bindings, by key.
        self.rules: dict[str, Rule] = {}
        #: Children before their parents: the order of registration.
        self.workflows = MappingProxyType({workflow.name: workflow for workflow in carried})
        self._handlers = {
            (workflow.name, step): handler
            for workflow in carried
            for step, handler in workflow.handlers().items()
        }

    def __repr__(self) -> str:
        return f"<app {self.name!r}>"

    @overload
    def schedule(
        self,
        name: str,
        workflow: Workflow[In, Any],
        input: In,  # noqa: A002 - the word for it everywhere
        **options: Unpack[ScheduleOptions],
    ) -> None: ...

    @overload
    def schedule(
        self, name: str, workflow: Workflow[None, Any], **options: Unpack[ScheduleOptions]
    ) -> None: ...

    def schedule(
        self,
        name: str,
        workflow: Workflow[Any, Any],
        input: Any = None,  # noqa: A002 - the word for it everywhere
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Declare a schedule for runs of a workflow of this app.

        Deployed with the app, by each worker at its start. Changes at run time stay in force, and so does
        being off; a schedule no longer declared goes on, marked by `schedules list`. Raises
        `DefinitionError` for impossible options, such as an expression without any moment.
        """
        try:
            self._check_carried(f"schedule {name!r}", workflow)
            if name in self.schedules:
                raise RejectedError("duplicate", f"two schedules are called {name!r}: rename one")
            data = Values().input_of(workflow, input)
            self.schedules[name] = plan_of(name, workflow.name, data, options)
        except RejectedError as error:
            raise self._declared_badly(error) from None

    @overload
    def on(
        self,
        of: str,
        /,
        *,
        start: Workflow[Any, Any],
        id: str = ...,  # noqa: A002 - the word for it everywhere
        input: Paths = ...,  # noqa: A002 - see above
        match: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None: ...

    @overload
    def on(
        self,
        of: Topic[Any],
        /,
        *,
        match: Mapping[str, Any] | None = None,
        name: str | None = None,
        **options: Unpack[RuleOptions],
    ) -> None: ...

    def on(
        self,
        of: str | Topic[Any],
        /,
        *,
        match: Mapping[str, Any] | None = None,
        name: str | None = None,
        **options: Unpack[RuleOptions],
    ) -> None:
        """Declare a trigger, by the name of an event, or a binding, by a topic of others.

        Each event or record starts a run of a workflow of this app, `start=`. `id` is the path of the run's
        id: a second one starts nothing; without it each starts a run. `input` is the path of the input, or a
        path for each field. `match` has the required value of each path, or a list of possible values. Paths
        of a trigger begin with `data`, `key`, `id`, `event` or `by`. The default name is
        `order.created:order`.

        Records of a topic may become an event instead, `event=` with `key=`, the path of the correlation key;
        a signal, `signal=` with `run=`; or an answer, `answer=` with `run=`; `data=` is the path of the data.
        Paths lead into the value, unless they begin with `headers`, `key`, `topic`, `partition`, `offset`,
        `timestamp` or `value`. `since` is where reading begins: "latest", the deployment; "earliest"; or a
        datetime. `bad` is for unusable records: "dead", a dead letter; "skip"; or "stop", to read no further.

        Deployed with the app, by each worker at its start. Raises `DefinitionError` for impossible options.
        """
        try:
            made: Rule
            if isinstance(of, Topic):
                made = binding_of(self.name, of, options, match, name)
                kind = "binding"
            else:
                made = trigger_of(self.name, of, options, match, name)
                kind = "trigger"
            if "start" in options:
                self._check_carried(f"{kind} {made.name!r}", options["start"])
            self._declare(rule_key(kind, made.name), made)
        except RejectedError as error:
            raise self._declared_badly(error) from None

    def queue(
        self,
        name: str,
        *,
        at_once: int | None = None,
        rate: str | None = None,
        burst: int = 0,
        lanes: bool = False,
    ) -> None:
        """Limit a queue as a whole, over all workers; the surplus waits, in order.

        As with a `Gate`: each attempt of the app's workflows on this queue passes the gate `queue:NAME`,
        after that of its step. With `lanes` commands of a high and of a low priority have topics of their
        own. Said before the workflows are started, as it is a part of their definitions. Raises
        `DefinitionError` for impossible limits, or if the queue has other ones.
        """
        try:
            rule = rule_of(name, at_once=at_once, rate=rate, burst=burst, lanes=lanes)
            if any(each != rule for each in self._rules_of_queue(rule.name)):
                raise RejectedError("duplicate", f"queue {rule.name!r} is set twice: keep one of the two")
        except RejectedError as error:
            raise self._declared_badly(error) from None
        for workflow in self.workflows.values():
            workflow._limit_queue(rule)

    def parts(self, queues: Iterable[str]) -> tuple[str, ...]:
        """Return the queues, and in place of queues with lanes by priority the parts; each has topics."""
        rules = {rule for definition in self.definitions() for rule in definition.queues if rule.has_lanes}
        laned = {rule.name for rule in rules}
        return tuple(part for queue in queues for part in parts_of(queue, by_priority=queue in laned))

    def _rules_of_queue(self, name: str) -> Iterator[QueueRule]:
        for definition in self.definitions():
            yield from (rule for rule in definition.queues if rule.name == name)

    @overload
    def topic(
        self,
        name: str,
        *,
        value: type[V],
        format: TopicFormat = "json",  # noqa: A002 - as Kafka users call it
        schema: Mapping[str, Any] | bytes | Descriptors | None = None,
    ) -> Topic[V]: ...

    @overload
    def topic(
        self,
        name: str,
        *,
        value: Any = Any,
        format: TopicFormat = "json",  # noqa: A002 - see above
        schema: Mapping[str, Any] | bytes | Descriptors | None = None,
    ) -> Topic[Any]: ...

    def topic(
        self,
        name: str,
        *,
        value: Any = Any,
        format: TopicFormat = "json",  # noqa: A002 - see above
        schema: Mapping[str, Any] | bytes | Descriptors | None = None,
    ) -> Topic[Any]:
        """Declare an existing topic by the full name, with the type and the format of values.

        `schema` is the Avro schema of values, in place of one derived from the type; or, for Protobuf, a
        `FileDescriptorSet`, or its bytes, in which `value` is the full name of a message.
        """
        made: Topic[Any] = Topic(name, value, format, schema)
        if made.fingerprint:
            self.schemas[name, made.fingerprint] = msgspec.json.encode(made.schema).decode()
        return made

    def definitions(self) -> tuple[Definition, ...]:
        """Return all workflows as data."""
        return tuple(workflow.definition() for workflow in self.workflows.values())

    def registrations(self) -> tuple[tuple[Definition, About], ...]:
        """Return all definitions, each with texts and tags for people."""
        return tuple((workflow.definition(), workflow.about) for workflow in self.workflows.values())

    def handler(self, workflow: str, step: str) -> Handler:
        """Return the prepared function of a step, or raise `NotCarriedError`."""
        try:
            return self._handlers[workflow, step]
        except KeyError:
            raise NotCarriedError(self.name, workflow, step) from None

    def _check_carried(self, what: str, workflow: Workflow[Any, Any]) -> None:
        if self.workflows.get(workflow.name) is not workflow:
            text = f"{what} starts workflow {workflow.name!r}, which the app has not"
            raise RejectedError("bad_workflow", f"{text}: add it to workflows=")

    def _declare(self, key: str, rule: Rule) -> None:
        if key in self.rules:
            text = f"two rules are called {rule.name!r}: give one of them another name="
            raise RejectedError("duplicate", text)
        self.rules[key] = rule

    def _declared_badly(self, error: RejectedError) -> DefinitionError:
        origin = origin_of_call(author_frame())
        return DefinitionError([DefinitionFault(f"app {self.name!r}", None, error.code, str(error), origin)])

    def _faults(self, given: list[object], known: Iterable[Workflow]) -> Iterator[DefinitionFault]:
        if not NAME.match(self.name):
            yield self._fault("bad_name", f"{self.name!r} is not a name for an app")
        if not given:
            yield self._fault("empty", f"app {self.name!r} has no workflows")
        seen: dict[str, Workflow] = {}
        children = [workflow for workflow in known if workflow not in given]
        for i, workflow in enumerate([*given, *children]):
            if not isinstance(workflow, Workflow):
                yield self._fault("bad_workflow", f"workflows= takes workflows, not {workflow!r}")
            elif workflow in given[:i]:
                yield self._fault("duplicate", f"workflow {workflow.name!r} is given twice")
            elif (same := seen.setdefault(workflow.name, workflow)) is not workflow:
                places = f"{same.origin} and {workflow.origin}"
                yield self._fault("duplicate", f"two workflows are called {same.name!r}: {places}")

    def _fault(self, code: str, message: str) -> DefinitionFault:
        return DefinitionFault(f"app {self.name!r}", None, code, message, self.origin)


def _faults_of(workflows: Iterable[Workflow]) -> Iterable[DefinitionFault]:
    """Return the faults of the workflows; faults of children come with each parent."""
    found: dict[DefinitionFault, None] = {}
    for workflow in workflows:
        try:
            workflow.definition()
        except DefinitionError as error:
            found.update(dict.fromkeys(error.faults))
    return found
