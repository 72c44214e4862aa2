"""Which value each parameter of a step's function gets, decided when the workflow is defined.

In this order: a parameter annotated `Context`; one named like a step, which makes the step wait for that one
and hands over its output; one annotated with the workflow's input type, or named `input`; the only parameter
of a lambda; one with a default, which it keeps. Anything else is a fault.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from stream_durable.sdk.context import Context
from stream_durable.sdk.handler import Argument, Handler, Source
from stream_durable.sdk.handover import Codec, Codecs, NoCodecError, Write
from stream_durable.sdk.options import Options
from stream_durable.sdk.plain_json import write_plain

_NOWHERE = object()
_SPREAD = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Binder:
    """Binds the functions of one workflow. Made anew each time a definition is built."""

    def __init__(self, workflow: str, input_type: Any, steps: Collection[str], options: Options) -> None:
        self._workflow = workflow
        self._input_type = input_type
        self._steps = steps
        self._codecs = Codecs()
        self._has_input = (
            input_type is None or self._codec(input_type, "the type given as input=", options) is not None
        )

    def bind(
        self, step: str, function: Callable[..., Any], local_names: Mapping[str, Any], options: Options
    ) -> Handler:
        """Return the prepared function; every parameter without a value is noted as a fault."""
        arguments: list[Argument] = []
        keywords: list[str] = []
        hints = _Hints(function, local_names)
        for parameter in _parameters(function, options):
            argument = self._argument(step, parameter, hints, options)
            if argument is not None:
                arguments.append(argument)
                if parameter.kind == inspect.Parameter.KEYWORD_ONLY:
                    keywords.append(parameter.name)
        write = self._write(function, hints, options)
        return Handler(
            self._workflow, step, function, arguments, keywords, write, is_async=_is_async(function)
        )

    def _write(self, function: Callable[..., Any], hints: _Hints, options: Options) -> Write:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            options.fault("bad_function", "a generator cannot be a step: return the values, as a list")
            return write_plain
        hint = hints.of("return", "what it returns", options)
        codec = None if hint is _NOWHERE else self._codec(hint, "what it returns", options)
        return codec.write if codec is not None else write_plain

    def _argument(
        self, step: str, parameter: inspect.Parameter, hints: _Hints, options: Options
    ) -> Argument | None:
        name = parameter.name
        if parameter.kind in _SPREAD:
            stars = "*" if parameter.kind == inspect.Parameter.VAR_POSITIONAL else "**"
            options.fault("bad_parameter", f"'{stars}{name}' cannot be bound: name each parameter")
            return None
        hint = hints.of(name, f"parameter {name!r}", options)
        source = self._source(parameter, hint, is_only=hints.is_lambda and hints.count == 1)
        if source == Source.DEFAULT:
            return Argument(name, source, bytes, parameter.default)
        if hint is _NOWHERE:
            return None
        if source is None:
            options.fault("unbound_parameter", self._unbound(parameter, hint))
            return None
        if source == Source.CONTEXT:
            hint = (get_args(_bare(hint)) or (self._input_type,))[0]
            hint = Any if hint is None else hint
        if source != Source.OUTPUT and hint == self._input_type and not self._has_input:
            return None
        codec = self._codec(hint, f"parameter {name!r}", options)
        return Argument(name, source, codec.read) if codec is not None else None

    def _source(self, parameter: inspect.Parameter, hint: Any, *, is_only: bool) -> Source | None:
        about = _bare(hint)
        if _is_context(about):
            return Source.CONTEXT
        if parameter.name in self._steps:
            return Source.OUTPUT
        if parameter.name == "input" or (self._input_type is not None and about == _bare(self._input_type)):
            return Source.INPUT
        if is_only:
            return Source.INPUT
        return Source.DEFAULT if parameter.default is not parameter.empty else None

    def _unbound(self, parameter: inspect.Parameter, hint: Any) -> str:
        name = parameter.name
        annotated = f" ({shown(hint)})" if parameter.annotation is not parameter.empty else ""
        the_input = f"nor {shown(self._input_type)}, the input, " if self._input_type is not None else ""
        text = f"parameter '{name}'{annotated} is neither a step {the_input}nor a Context"
        if close := get_close_matches(name, [*self._steps, "input"], 1):
            return f"{text}; is {close[0]!r} meant?"
        return (
            f"{text}; the run's input goes to a parameter named 'input'" if self._input_type is None else text
        )

    def _codec(self, hint: Any, what: str, options: Options) -> Codec | None:
        try:
            return self._codecs.of(hint)
        except NoCodecError as error:
            options.fault("bad_type", f"{what} cannot be JSON as {shown(hint)}: {error}")
            return None


class _Hints:
    """The annotations of a function, each evaluated on its own, so that one that fails spoils no other."""

    def __init__(self, function: Callable[..., Any], local_names: Mapping[str, Any]) -> None:
        plain = _plain_function(function)
        self.is_lambda = getattr(plain, "__name__", "") == "<lambda>"
        self.count = plain.__code__.co_argcount if self.is_lambda else 0
        self._annotations: Mapping[str, Any] = getattr(plain, "__annotations__", {})
        self._globals = getattr(plain, "__globals__", {})
        self._locals = {**local_names, **_enclosed(plain)}

    def of(self, name: str, what: str, options: Options) -> Any:
        """Return the type of a parameter, or of `return`; `Any` where there is no annotation."""
        if name not in self._annotations:
            return Any
        alone = _Annotated({name: self._annotations[name]})
        try:
            return get_type_hints(alone, self._globals, self._locals, include_extras=True)[name]
        except Exception as error:  # an annotation is code of the author's and may do anything
            written = shown(self._annotations[name])
            options.fault("bad_annotation", f"the annotation {written} of {what} cannot be resolved: {error}")
            return _NOWHERE


class _Annotated:
    """Something with one annotation, as `get_type_hints` wants it."""

    def __init__(self, annotations: dict[str, Any]) -> None:
        self.__annotations__ = annotations


def shown(hint: Any) -> str:
    """Return a type as an author would write it."""
    if isinstance(hint, str):
        return repr(hint)
    return (
        hint.__qualname__
        if isinstance(hint, type) and not get_args(hint)
        else str(hint).replace("typing.", "")
    )


def _parameters(function: Callable[..., Any], options: Options) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        options.fault("bad_function", f"the parameters of {function!r} cannot be read: wrap it in a function")
        return []


def _plain_function(function: Any) -> Any:
    """Return what has the annotations: the function inside of partials, decorators and callable objects."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    if not hasattr(function, "__code__") and not isinstance(function, type):
        function = type(function).__call__
    return function


def _enclosed(function: Any) -> dict[str, Any]:
    """Return what the function sees of the functions around it."""
    found = {}
    if getattr(function, "__closure__", None):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
            try:
                found[name] = cell.cell_contents
            except ValueError:
                continue  # not assigned yet
    return found


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _bare(hint: Any) -> Any:
    """Return what a type is about: an optional one, or one with remarks, is about the same."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        members = [member for member in get_args(hint) if member is not NoneType]
        if len(members) == 1:
            return _bare(members[0])
    return hint


def _is_context(hint: Any) -> bool:
    return hint is Context or get_origin(hint) is Context
