"""Binds each parameter of a function to a value, when the workflow is defined.

In this order: a parameter annotated `Context` (of a lambda: named `ctx`), and in a hook `Happened`; a
parameter named like a step, adding a dependency on the step and taking its output; `item`, in functions
called per item; a parameter annotated with the workflow's input type, or named `input`; a parameter with a
default, which stays unbound; the only parameter of a lambda. Any other parameter is a fault.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType, UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, Union, get_args, get_origin

from stream_durable.core.definition.schema import Misfit
from stream_durable.core.definition.type_misfit import type_misfit
from stream_durable.sdk.answers import ANSWERS
from stream_durable.sdk.context import Context
from stream_durable.sdk.handler import NO_DEFAULT, Argument, Handler, Source
from stream_durable.sdk.handover import Codec, Codecs, NoCodecError, Read, Write
from stream_durable.sdk.happened import Happened, read_happened
from stream_durable.sdk.options import Options
from stream_durable.sdk.plain_json import write_plain
from stream_durable.sdk.results import Results, read_results, read_results_or_none
from stream_durable.sdk.schemas import Schemas
from stream_durable.sdk.signature import NOWHERE, Hints, bare, is_async, parameters_of, shown

if TYPE_CHECKING:
    from stream_durable.sdk.draft import Work
    from stream_durable.sdk.known import Known

_SPREAD = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Offer(NamedTuple):
    """The values on offer to a function besides the context and the input."""

    #: The steps whose outputs there are.
    steps: Collection[str] = ()
    #: The groups among them.
    groups: Collection[str] = ()
    #: Whether the output of a step is a list of what members of it came to, or may be.
    is_list: Callable[[str], bool] = lambda _: False
    #: Steps by parameter, for parameters with another name (`takes=`).
    takes: Mapping[str, str] = MappingProxyType({})
    #: The step to be undone: its output goes by its name, even for one of many members.
    own: str = ""
    #: For messages about a parameter with this name.
    templates: Collection[str] = ()
    #: Whether the step has an item; otherwise only an expanding step gives one.
    has_item: bool = False
    #: The parameter that takes it.
    item_name: str = "item"
    #: Whether the function takes a `Happened`, as hooks and compensations do.
    is_told: bool = False
    is_hook: bool = False
    #: Known types of the input, of steps' outputs, of the item, and of the undone step.
    known: Callable[[str], Known | None] = lambda _: None
    item: Known | None = None
    undone: Known | None = None
    #: The type of the step's answer, for a lambda without annotations.
    type_of: Callable[[str], Any] = lambda _: Any


class Binder:
    """Binds the functions of one workflow. Created for each build of a definition."""

    def __init__(self, workflow: str, input_type: Any, schemas: Schemas, options: Options) -> None:
        self._workflow = workflow
        self._input_type = input_type
        self._codecs = Codecs()
        self._schemas = schemas
        self._has_input = (
            input_type is None or self._codec(input_type, "the type given as input=", options) is not None
        )

    def bind(
        self,
        name: str,
        function: Callable[..., Any],
        local_names: Mapping[str, Any],
        offer: Offer,
        options: Options,
    ) -> Handler:
        """Return the prepared function; every parameter without a value is noted as a fault."""
        arguments: list[Argument] = []
        keywords: list[str] = []
        hints = Hints(function, local_names)
        for parameter in parameters_of(function, options):
            argument = self._argument(parameter, hints, offer, options)
            if argument is not None:
                arguments.append(argument)
                if parameter.kind == inspect.Parameter.KEYWORD_ONLY:
                    keywords.append(parameter.name)
        write = write_nothing if offer.is_hook else self._write(function, hints, options)
        return Handler(
            self._workflow, name, function, arguments, keywords, write, is_async=is_async(function)
        )

    def _write(self, function: Callable[..., Any], hints: Hints, options: Options) -> Write:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            options.fault("bad_function", "a generator cannot be a step: return the values, as a list")
            return write_plain
        hint = hints.of("return", "what it returns", options)
        if hint is NOWHERE:
            return write_plain
        codec = self._codec(value_of(hint), "what it returns", options)
        return codec.write if codec is not None else write_plain

    def _argument(
        self, parameter: inspect.Parameter, hints: Hints, offer: Offer, options: Options
    ) -> Argument | None:
        own, name = parameter.name, offer.takes.get(parameter.name, parameter.name)
        if parameter.kind in _SPREAD:
            stars = "*" if parameter.kind == inspect.Parameter.VAR_POSITIONAL else "**"
            options.fault("bad_parameter", f"'{stars}{name}' cannot be bound: name each parameter")
            return None
        hint = hints.of(own, f"parameter {own!r}", options)
        is_lambda, is_only = hints.is_lambda, hints.is_lambda and hints.count == 1
        source = self._source(parameter, hint, offer, is_lambda=is_lambda, is_only=is_only)
        default = NO_DEFAULT if parameter.default is parameter.empty else parameter.default
        if source == Source.DEFAULT:
            return Argument(name, source, bytes, default)
        if hint is NOWHERE:
            return None
        if source is None:
            options.fault("unbound_parameter", self._unbound(parameter, hint, offer))
            return None
        if source == Source.HAPPENED:
            return Argument(name, source, read_happened)
        if hints.is_lambda:
            hint = self._meant(name, source, offer)
        if source == Source.CONTEXT:
            hint = (get_args(bare(hint)) or (self._input_type,))[0]
            hint = Any if hint is None else hint
        is_input = source in (Source.CONTEXT, Source.INPUT)
        if is_input and hint == self._input_type and not self._has_input:
            return None
        read = self._read(name, source, hint, offer, options)
        if read is None:
            return None
        is_results = _is_results(bare(hint)) and name not in offer.groups
        return Argument(name, source, read, default, is_results)

    def _meant(self, name: str, source: Source, offer: Offer) -> Any:
        """Return the type for a parameter of a lambda: of the input, or of the step's answer."""
        if source == Source.INPUT:
            return Any if self._input_type is None else self._input_type
        hint = offer.type_of(name) if source == Source.OUTPUT and name not in offer.groups else Any
        return hint if hint is Any else hint | None

    def _read(self, name: str, source: Source, hint: Any, offer: Offer, options: Options) -> Read | None:
        what = f"parameter {name!r}"
        about = bare(hint)
        if source == Source.OUTPUT and self._has_results(name, hint, offer):
            codec = self._codec((*get_args(about), Any)[0], what, options)
            read = read_results if _is_results(hint) else read_results_or_none
            return partial(read, codec.read) if codec is not None else None
        if _is_results(about):
            options.fault("bad_type", f"{what} has no members, so it cannot be {shown(hint)}")
            return None
        codec = self._codec(hint, what, options)
        if codec is None:
            return None
        self._judge(name, source, hint, offer, options, is_strict=codec.is_strict)
        return codec.read

    def _judge(
        self, name: str, source: Source, hint: Any, offer: Offer, options: Options, *, is_strict: bool
    ) -> None:
        """Report a parameter whose type can read no value on offer."""
        known = self._given(name, source, offer)
        if known is None or hint is Any or (source != Source.OUTPUT and hint == self._input_type):
            return
        found = type_misfit(known.schema, self._schemas.of(hint, "read"), strict=is_strict)
        if found is not None:
            text = f"parameter {name!r} is {shown(hint)}, and {known.said}: {says_why(found)}"
            options.fault("unfit_parameter", text)

    def _given(self, name: str, source: Source, offer: Offer) -> Known | None:
        """Return the known type of a parameter's value."""
        if source == Source.OUTPUT:
            return offer.undone if name == offer.own else offer.known(name)
        if source == Source.ITEM:
            return offer.item
        return offer.known("input")

    def _has_results(self, name: str, hint: Any, offer: Offer) -> bool:
        """Return whether a parameter takes the members' outcomes as `Results`."""
        if name in offer.groups:
            return hint is Any or _is_results(bare(hint))
        return _is_results(bare(hint)) and name != offer.own and offer.is_list(name)

    def _source(
        self, parameter: inspect.Parameter, hint: Any, offer: Offer, *, is_lambda: bool, is_only: bool
    ) -> Source | None:
        about = bare(hint)
        if parameter.name in offer.takes:
            return Source.OUTPUT
        has_default = parameter.default is not parameter.empty
        is_named_so = is_lambda and parameter.name == "ctx" and "ctx" not in offer.steps
        if about is Context or get_origin(about) is Context or is_named_so:
            return Source.CONTEXT
        if offer.is_told and about is Happened:
            return Source.HAPPENED
        if parameter.name in offer.steps or parameter.name == offer.own:
            return Source.OUTPUT
        if parameter.name == offer.item_name and (offer.has_item or has_default):
            return Source.ITEM
        if parameter.name == "input" or (self._input_type is not None and about == bare(self._input_type)):
            return Source.INPUT
        if has_default:
            # Also of a lambda: `lambda name=name: ...` is how a loop gives each its own.
            return Source.DEFAULT
        if is_only:
            return Source.ITEM if offer.has_item else Source.INPUT
        return None

    def _unbound(self, parameter: inspect.Parameter, hint: Any, offer: Offer) -> str:
        name = parameter.name
        annotated = f" ({shown(hint)})" if parameter.annotation is not parameter.empty else ""
        text = f"parameter '{name}'{annotated} is {self._nothing(offer)}"
        if name in offer.templates:
            return f"{text}; {name!r} is a template: take the output of the step that expands into it"
        if name == "item":
            return f"{text}; only what is made by each() or of a template has an item"
        if close := get_close_matches(name, [*offer.steps, offer.own, "input"], 1):
            return f"{text}; is {close[0]!r} meant?"
        return (
            f"{text}; the run's input goes to a parameter named 'input'" if self._input_type is None else text
        )

    def _nothing(self, offer: Offer) -> str:
        """Return the message for a parameter without a value."""
        kinds = [] if offer.is_hook else ["a step"]
        if self._input_type is not None:
            kinds.append(f"{shown(self._input_type)}, the input,")
        kinds.append("a Context")
        if offer.is_told:
            kinds.append("a Happened")
        if offer.has_item:
            kinds.append(f"called {offer.item_name!r}")
        return f"neither {' nor '.join(kinds)}"

    def _codec(self, hint: Any, what: str, options: Options) -> Codec | None:
        if _is_results(bare(hint)):
            options.fault("bad_type", f"{what} cannot be JSON as {shown(hint)}: return its `ok`, say")
            return None
        try:
            return self._codecs.of(hint)
        except NoCodecError as error:
            options.fault("bad_type", f"{what} cannot be JSON as {shown(hint)}: {error}")
            return None


def with_takes(work: Work, offer: Offer, options: Options) -> Offer:
    """Return the offer extended by `takes=`; report unknown steps."""
    called = [each for each in (work.function, work.condition, work.limit) if each is not None]
    names = {each.name for function in called for each in parameters_of(function, options)}
    for parameter, step in work.takes.items():
        if parameter not in names:
            options.fault("bad_option", f"takes= names {parameter!r}, and there is no such parameter")
        elif step not in offer.steps:
            options.fault("unknown_step", f"takes= names step {step!r}, which does not exist")
    return offer._replace(takes={name: step for name, step in work.takes.items() if step in offer.steps})


def write_nothing(value: object) -> bytes:
    """Ignore a hook's return value."""
    return b"null"


def says_why(found: Misfit) -> str:
    """Return the problems of a value as a sentence."""
    return f"its field {found.field!r} {found.text}" if found.field else f"it {found.text}"


def _is_results(hint: Any) -> bool:
    return hint is Results or get_origin(hint) is Results


def value_of(hint: Any) -> Any:
    """Return a function's value type without answers such as `Skip`; Any for answers alone."""
    if hint in ANSWERS:
        return Any
    if get_origin(hint) in (Union, UnionType):
        values = [each for each in get_args(hint) if each not in ANSWERS]
        if len(values) < len(get_args(hint)):
            return Union[tuple(values)] if values else Any  # noqa: UP007 - made at run time
    return hint
