"""The reference page of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args, get_origin

from annotated_types import Ge, Le, MaxLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from stream_durable.settings.rows import describe
from stream_durable.settings.sources import ENVIRONMENT_PREFIX, environment_name, fields
from stream_durable.settings.tree import CONFIG_VARIABLE, DEFAULT_FILE, OF_MEMORY, Settings


def reference() -> str:
    """Return docs/reference/settings.md."""
    rows = {row.path: row for row in describe(Settings())}
    lines = [_INTRODUCTION.rstrip()]
    branch = None
    for path, field in fields(Settings):
        if (head := path.rpartition(".")[0]) != branch:
            branch = head
            title = f"\n## {branch}\n\n{(_branch(branch).__doc__ or '').strip()}\n" if branch else ""
            lines.append(
                f"{title}\n| setting | default | accepts | what it does |\n| --- | --- | --- | --- |"
            )
        default = rows[path].value
        cells = (
            f"`{path}`",
            OF_MEMORY.get(path) or (f"`{default}`" if default else "(empty)"),
            _accepts(path, field),
            rows[path].description,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


_INTRODUCTION: Final = f"""\
# Settings

<!-- Generated: python -m stream_durable.settings > docs/reference/settings.md -->

A setting is written in a TOML file, in the environment, or in both; then the environment wins. The
file is `{DEFAULT_FILE}` in the working directory, or the file named by `{CONFIG_VARIABLE}`.

```toml
prefix = "shop"

[kafka]
bootstrap = "broker-1:9093,broker-2:9093"
properties."security.protocol" = "SASL_SSL"

[worker]
queues = ["default", "mail"]
```

In the environment a name is the path in capitals, with `{ENVIRONMENT_PREFIX}` before it and two
underscores for each dot: `{environment_name("kafka.bootstrap")}`. A list is written with commas. A
Kafka property is written with one underscore for each of its dots,
`{environment_name("kafka.properties")}__SASL_PASSWORD`, or all of them as a JSON object in
`{environment_name("kafka.properties")}`. An empty variable counts as absent.

Without any address of Kafka and Postgres, commands and clients use those of a `stream-durable dev` running
in the working directory; all other settings take precedence over those of `dev`.

An unknown name is refused. `stream-durable config show` prints the settings in force with their origins.
Numbers that end in `_ms` are milliseconds, in `_bytes_max` bytes.
"""


def _branch(name: str) -> type[BaseModel]:
    kind = Settings.model_fields[name].annotation
    assert isinstance(kind, type) and issubclass(kind, BaseModel)
    return kind


def _accepts(path: str, field: FieldInfo) -> str:
    """Return the accepted values of a field in words."""
    kind = field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    if kind in (int, int | None):
        low = next(bound.ge for bound in field.metadata if isinstance(bound, Ge))
        high = next(bound.le for bound in field.metadata if isinstance(bound, Le))
        return f"{low} to {high}" + (", `off`" if kind is not int else "")
    if get_origin(kind) is tuple:
        return "a list of names"
    if kind in (SecretStr, SecretStr | None):
        what = "an address" if path.endswith("dsn") else "text"
        return f"{what}; secret" + ("" if kind is SecretStr else ", or nothing")
    if get_origin(kind) is Mapping:
        return "a table of text"
    pattern = next((found for bound in field.metadata if (found := getattr(bound, "pattern", None))), None)
    if pattern is None:
        return "text"
    longest = next(bound.max_length for bound in field.metadata if isinstance(bound, MaxLen))
    return f"`{pattern.strip('^$')}`, up to {longest} characters"
