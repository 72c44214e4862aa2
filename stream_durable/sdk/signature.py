"""Reads a function's parameters and their annotations, evaluated in the function's module."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from stream_durable.sdk.options import Options

#: Stands where an annotation cannot be understood, which has been noted.
NOWHERE = object()


class Hints:
    """A function's annotations, evaluated separately: a failing annotation affects no other."""

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
            return NOWHERE


class _Annotated:
    """An object with one annotation, for `get_type_hints`."""

    def __init__(self, annotations: dict[str, Any]) -> None:
        self.__annotations__ = annotations


def shown(hint: Any) -> str:
    """Return a type in the author's notation."""
    if isinstance(hint, str):
        return repr(hint)
    if hint is NoneType:
        return "None"
    return (
        hint.__qualname__
        if isinstance(hint, type) and not get_args(hint)
        else str(hint).replace("typing.", "")
    )


def parameters_of(function: Callable[..., Any], options: Options) -> list[inspect.Parameter]:
    """Return the parameters of a callable."""
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
    """Return the variables visible to the function from enclosing functions."""
    found = {}
    if getattr(function, "__closure__", None):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
            try:
                found[name] = cell.cell_contents
            except ValueError:
                continue  # not assigned yet
    return found


def is_async(function: Callable[..., Any]) -> bool:
    """Say whether a call gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def bare(hint: Any) -> Any:
    """Return a type without `Annotated` remarks and without None."""
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        members = [member for member in get_args(hint) if member is not NoneType]
        if len(members) == 1:
            return bare(members[0])
    return hint
