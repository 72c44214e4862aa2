"""Values from files and the environment, by path, and the resulting tree.

Each value keeps its origin, so that errors use the notation of that place.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from stream_durable.core.errors import RejectedError
from stream_durable.settings.branches import Branch

#: `dev`: from the `stream-durable dev` running in this directory. The last is a default too: one derived from
#: the machine.
Origin = Literal["default", "file", "env", "code", "dev", "memory of the machine"]

ENVIRONMENT_PREFIX: Final = "STREAM_DURABLE_"
#: The only open table: its keys are librdkafka's.
PROPERTIES: Final = "kafka.properties"

Tree = TypeVar("Tree", bound=BaseModel)


class SettingsError(RejectedError):
    """Unusable settings; each of `problems` is a sentence naming a key."""

    def __init__(self, code: str, problems: Sequence[str]) -> None:
        super().__init__(code, "\n".join(problems))
        self.problems = tuple(problems)


class Given(NamedTuple):
    """A value with its origin."""

    path: str
    value: object
    origin: Origin
    label: str


def environment_name(path: str) -> str:
    """Return the environment variable of a path."""
    return ENVIRONMENT_PREFIX + path.upper().replace(".", "__")


def fields(tree: type[BaseModel], head: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting of a tree by path, in order."""
    for name, field in tree.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Branch):
            yield from fields(kind, f"{head}{name}.")
        else:
            yield f"{head}{name}", field


class Shape(NamedTuple):
    """The paths of a tree's settings and tables."""

    paths: tuple[str, ...]
    tables: frozenset[str]

    @classmethod
    def of(cls, tree: type[BaseModel]) -> Shape:
        """Return the shape of a tree."""
        paths = tuple(path for path, _ in fields(tree))
        return cls(paths, frozenset(path.rpartition(".")[0] for path in paths) - {""} | {PROPERTIES})

    def leaves(self, tree: Mapping[str, object], head: str = "") -> Iterator[tuple[str, object]]:
        """Yield the leaves by path; so `sasl.password` may be a key with a dot or a table in a table."""
        for key, value in tree.items():
            path = f"{head}{key}"
            if isinstance(value, dict) and (value or path in self.tables):
                yield from self.leaves(value, f"{path}.")
            else:
                yield path, value

    def from_environment(self, variables: Mapping[str, str]) -> Iterator[Given]:
        """Yield the values of variables, whole properties before single ones, which win."""
        for name, text in sorted(variables.items()):
            path = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            if path == PROPERTIES:
                for key, value in self.leaves({path: _json_object(name, text)}):
                    yield Given(key, value, "env", name)
            elif path.startswith(f"{PROPERTIES}."):
                key = path.removeprefix(f"{PROPERTIES}.").replace("_", ".")
                yield Given(f"{PROPERTIES}.{key}", text, "env", name)
            else:
                yield Given(path, text, "env", name)

    def from_file(self, file: Path) -> Iterator[Given]:
        """Yield the values of a file; raise a SettingsError for an unreadable file."""
        for path, value in self.leaves(_toml(file)):
            yield Given(path, value, "file", f"{file}: {path}")

    def fault(self, given: Given) -> str | None:
        """Return the fault of an unknown setting, with the nearest known one, in its own notation."""
        if given.path in self.tables:
            return f"{given.label}: it is not one setting but a table of them"
        if given.path in self.paths or given.path.startswith(f"{PROPERTIES}."):
            return None
        nearest = self._nearest(given.path)
        meant = environment_name(nearest) if given.origin == "env" else nearest
        return f"{given.label}: there is no such setting; the nearest is {meant}"

    def _nearest(self, path: str) -> str:
        """Return the most similar known path; a right last part under a wrong head counts most."""
        leaf = path.rpartition(".")[2]
        same_leaf = [known for known in self.paths if known.rpartition(".")[2] == leaf]
        return difflib.get_close_matches(path, same_leaf or self.paths, n=1, cutoff=0)[0]


def make(tree: type[Tree], given: Mapping[str, Given]) -> Tree:
    """Return a validated tree with these values; raise a SettingsError with all problems."""
    shape = Shape.of(tree)
    if problems := [problem for one in given.values() if (problem := shape.fault(one))]:
        raise SettingsError("settings_invalid", problems)
    try:
        return tree(**_nested(given))
    except ValidationError as error:
        raise SettingsError("settings_invalid", _problems(error, given)) from None


def _json_object(name: str, text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SettingsError("settings_invalid", [f'{name}: write a JSON object, {{"property": "value"}}'])
    return found


def _toml(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError("settings_invalid", [f"{file}: {error.strerror or error}"]) from error
    except ValueError as error:
        raise SettingsError("settings_invalid", [f"{file}: not TOML: {error}"]) from error


def _nested(given: Mapping[str, Given]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, one in given.items():
        head, _, leaf = path.partition(".")
        if path.startswith(f"{PROPERTIES}."):
            properties = tree.setdefault("kafka", {}).setdefault("properties", {})
            properties[path.removeprefix(f"{PROPERTIES}.")] = one.value
        elif leaf:
            tree.setdefault(head, {})[leaf] = one.value
        else:
            tree[head] = one.value
    return tree


def _problems(error: ValidationError, given: Mapping[str, Given]) -> list[str]:
    """Return the problems by key, without values."""
    problems = []
    for one in error.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in one["loc"])
        near = next((known for path, known in given.items() if f"{place}.".startswith(f"{path}.")), None)
        own = one.get("ctx", {}).get("error")
        problems.append(f"{near.label if near else place}: {own or one['msg']}")
    return problems
