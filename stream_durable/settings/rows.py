"""The settings in force, as rows and as variables, with secrets masked."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final, NamedTuple

from pydantic import BaseModel, SecretStr

from stream_durable.settings.addresses import MASK, masked_dsn
from stream_durable.settings.branches import as_text
from stream_durable.settings.sources import PROPERTIES, Origin, fields
from stream_durable.settings.tree import DEFAULTS, Settings

_SECRET_WORDS: Final = ("password", "secret", "token", "key")


class SettingRow(NamedTuple):
    """A line of `config show`."""

    path: str
    #: As text, secrets masked.
    value: str
    origin: Origin
    description: str

    @property
    def is_default(self) -> bool:
        """Whether the value is the default."""
        return self.origin in DEFAULTS


def describe(settings: Settings) -> list[SettingRow]:
    """Return every setting, in the order of the tree; each Kafka property is a separate row.

    Parses the source of the settings for their descriptions: 50 ms.
    """
    descriptions = dict(_descriptions(Settings))
    return [
        SettingRow(path, value, settings.origin(path), descriptions.get(path) or descriptions[PROPERTIES])
        for path, value in masked(settings).items()
    ]


def masked(settings: Settings) -> dict[str, str]:
    """Return every setting as text, secrets masked, by path; each Kafka property has a path of its own."""
    values: dict[str, object] = {}
    for path, _ in fields(Settings):
        if path == PROPERTIES and settings.kafka.properties:
            values |= {f"{path}.{key}": value for key, value in settings.kafka.properties.items()}
        else:
            values[path] = settings.at(path)
    return {path: _shown(path, value) for path, value in values.items()}


def _descriptions(tree: type[BaseModel], head: str = "") -> Iterator[tuple[str, str]]:
    """Yield the docstring below each setting of a tree, on one line.

    Pydantic would read the source, too, at each import.
    """
    [of_class] = ast.parse(inspect.getsource(tree)).body
    assert isinstance(of_class, ast.ClassDef)
    for setting, below in pairwise(of_class.body):
        if isinstance(setting, ast.AnnAssign) and isinstance(setting.target, ast.Name):
            name = setting.target.id
            kind = tree.model_fields[name].annotation if name in tree.model_fields else None
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _descriptions(kind, f"{head}{name}.")
            elif isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                yield f"{head}{name}", " ".join(str(below.value.value).split())


def plain_value(settings: Settings, path: str) -> str | None:
    """Return a setting as text for an environment variable; None for secrets and values with secrets.

    The address of a database is shown if without a password.
    """
    if path.startswith(f"{PROPERTIES}."):
        value: object = settings.kafka.properties[path.removeprefix(f"{PROPERTIES}.")]
    else:
        value = settings.at(path)
    shown = _shown(path, value)
    return None if MASK in shown else shown


def _shown(path: str, value: object) -> str:
    if isinstance(value, SecretStr):
        return masked_dsn(value) if path.endswith("dsn") else MASK
    if path.startswith(f"{PROPERTIES}.") and any(word in path.lower() for word in _SECRET_WORDS):
        return MASK
    if isinstance(value, tuple) and any(isinstance(each, SecretStr) for each in value):
        return MASK
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, Mapping):
        return ""
    return "off" if value is None else as_text(value)
