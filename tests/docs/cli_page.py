"""Prints docs/reference/cli.md: `python tests/docs/cli_page.py > docs/reference/cli.md`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

HEAD = """\
# Command line

<!-- Generated: python tests/docs/cli_page.py > docs/reference/cli.md -->

`stream-durable COMMAND --help` says the same. Commands read the [settings](settings.md); in a directory
in which `stream-durable dev` runs, and where nothing is said of Kafka and Postgres, they find its services.

- APP is where an app is, as `module:attribute`; the module may lie in the working directory.
- RUN is the id of a run or a beginning of it that no other run has.
- JSON is given as it is, as `@file`, or as `-` for standard input.
- `--output` is `table`, `json` or `jsonl`. The last two are for programs: a time is ISO 8601 in UTC, a length
  of time has `_ms` at the end of its name, and the `steps` of a run are `{"done": 1, "total": 3}`. Errors go
  to standard error. `--debug`, before the command, shows where in the code an error happened.
- Exit codes: 0 done, 1 failure, 2 usage, 3 not found, 4 a check found something.
"""


@cache
def commands() -> dict[str, Any]:
    """Return all commands by their names, such as `runs start`."""
    from typer.main import get_command

    from stream_durable.cli.root import app

    return dict(_walk(get_command(app), ""))


def _walk(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _walk(command, f"{before}{name} ")
        else:
            yield before + name, command


def _section(name: str, command: Any) -> Iterator[str]:
    shown = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    usage = [_argument(p) for p in arguments]
    yield f"\n## {name}\n\n```text\n"
    yield " ".join(["stream-durable", name, *usage, *(["[OPTIONS]"] if options else [])]) + "\n```\n"
    for paragraph in (command.help or "").split("\n\n"):
        yield f"\n{' '.join(paragraph.split())}\n"
    rows = [p for p in [*arguments, *options] if getattr(p, "help", None)]
    if rows:
        yield "\n| | |\n| --- | --- |\n"
    for p in rows:
        names = (
            ", ".join(f"`{o}`" for o in [*p.opts, *p.secondary_opts]) if p in options else f"`{_argument(p)}`"
        )
        about = re.sub(r"\s+", " ", p.help).replace("|", "\\|")
        yield f"| {names} | {about} |\n"


def _argument(argument: Any) -> str:
    """Return an argument as the usage has it: in brackets, if it may be left out."""
    name: str = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def main() -> None:
    """Print the page."""
    sys.stdout.write(HEAD)
    for name, command in commands().items():
        sys.stdout.writelines(_section(name, command))


if __name__ == "__main__":
    main()
