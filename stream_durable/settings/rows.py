"""The settings in force, as rows and as variables, with secrets masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from pydantic import SecretStr

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
    """Return every setting, in the order of the tree; each Kafka property is a separate row."""
    rows = []
    for path, field in fields(Settings):
        # An attribute's docstring keeps its line breaks.
        description = " ".join((field.description or "").split())
        values = {path: settings.at(path)}
        if path == PROPERTIES and settings.kafka.properties:
            values = {f"{path}.{key}": value for key, value in settings.kafka.properties.items()}
        rows += [
            SettingRow(path, _shown(path, value), settings.origin(path), description)
            for path, value in values.items()
        ]
    return rows


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
