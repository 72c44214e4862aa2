"""Values common to several commands, from the command line and the environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.errors import UsageError

if TYPE_CHECKING:
    from stream_durable.sdk.app import App
    from stream_durable.settings import Settings

AppTarget = Annotated[
    str, typer.Argument(metavar="APP", help="The app as module:attribute, such as shop:app.")
]

AppOption = Annotated[
    str | None,
    typer.Option(
        "--app", metavar="APP", help="The app as module:attribute, such as shop:app.", show_default=False
    ),
]


def load_settings() -> Settings:
    """Return the settings in force, as `read_settings` does; refuse those under which passwords and payloads
    could be read in transit.
    """
    from stream_durable.settings import check_safety

    settings = read_settings()
    check_safety(settings)
    return settings


def read_settings() -> Settings:
    """Return the settings in force, or those of a `dev` running in this directory."""
    from stream_durable.running import with_running
    from stream_durable.settings import Settings

    return with_running(Settings.load())


def load(target: str) -> App:
    """Return the app at `module:attribute`."""
    from stream_durable.sdk.load import load_app

    return load_app(target)


def read_json(text: str, option: str) -> Any:
    """Return the value of an option: JSON, or `@file`, or `-` for standard input."""
    source = option
    if text == "-":
        source, text = "standard input", sys.stdin.read()
    elif text.startswith("@"):
        source = text[1:]
        try:
            text = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{source}: {error.strerror or error}") from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{source} is not JSON: {error}{_in_quotes(text)}") from None


def _in_quotes(text: str) -> str:
    """Return how a word is written as JSON."""
    if not text.replace(" ", "").isalnum():
        return ""
    word = json.dumps(text, ensure_ascii=False)
    return f"; a text takes quotes, as '{word}', and a yes or no is true or false"
