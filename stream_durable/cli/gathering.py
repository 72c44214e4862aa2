"""Options common to several commands, declared once as a NamedTuple and passed as one value."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, get_type_hints


def gathers(command: Callable[..., None], kind: type[NamedTuple], name: str) -> Callable[..., None]:
    """Give a command an option for each field of a NamedTuple; the command gets all in one parameter."""
    made: Any = kind
    hints = get_type_hints(kind, include_extras=True)
    options = [
        inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[field])
        for field, default in made._field_defaults.items()
    ]
    own = inspect.signature(command, eval_str=True)

    @wraps(command)
    def gathered(**given: Any) -> None:
        command(**{name: made(**{field: given.pop(field) for field in made._fields})}, **given)

    parameters: list[inspect.Parameter] = []
    for parameter in own.parameters.values():
        found = options if parameter.name == name else [parameter]
        parameters += [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in found]
    gathered.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # what typer reads
    gathered.__annotations__ = {one.name: one.annotation for one in parameters}
    return gathered
