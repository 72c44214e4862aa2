"""Errors of commands: one message for people, one exit code for scripts."""

from __future__ import annotations

import sys
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from stream_durable.core.errors import RejectedError, StreamDurableError, TransientError

FAILURE: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
CHECK_FAILED: Final = 4

#: Codes of errors that mean: what the caller wrote down cannot be used, here or anywhere.
_USAGE_CODES: Final = frozenset(
    {
        "bad_cursor", "bad_definition", "bad_option", "bad_status", "bad_target", "bad_time", "bad_input",
        "contradiction", "import_failed", "invalid_answer", "invalid_input", "no_attribute", "no_module",
        "not_an_app", "settings_invalid", "settings_unsafe",
    }
)  # fmt: skip
_NOT_FOUND_CODES: Final = frozenset(
    {
        "not_found", "run_not_found", "unknown_admission", "unknown_binding", "unknown_gate",
        "unknown_record", "unknown_run", "unknown_schedule", "unknown_trigger", "unknown_workflow",
    }
)  # fmt: skip


class UsageError(RejectedError):
    """The arguments make no sense together."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_input", message)


class NotFoundError(RejectedError):
    """The named thing does not exist; `hint` tells where to look."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__("not_found", f"{message}\n{hint}")


class CheckFailedError(RejectedError):
    """A check found a problem."""

    def __init__(self, message: str) -> None:
        super().__init__("check_failed", message)


class Commands(TyperGroup):
    """The root of all commands: prints deliberate errors without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; leave with a message and the right number if it fails."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            from stream_durable.core.words import without_prefix

            error.message = without_prefix(error.message)
            raise
        except Exception as error:
            if ctx.params.get("debug") or not _is_ours(error):
                raise
            _leave(error)


def exit_code(error: BaseException) -> int:
    """Return the exit code for an error."""
    code = error.code if isinstance(error, StreamDurableError) else ""
    if code in _USAGE_CODES:
        return USAGE
    if code in _NOT_FOUND_CODES:
        return NOT_FOUND
    return CHECK_FAILED if isinstance(error, CheckFailedError) else FAILURE


def _is_ours(error: Exception) -> bool:
    from stream_durable.local.process import LocalServiceError

    return isinstance(error, StreamDurableError | LocalServiceError)


def _leave(error: Exception) -> NoReturn:
    typer.secho("Error: ", fg="red", bold=True, nl=False, err=True, color=_colour())
    typer.echo(str(error) or type(error).__name__, err=True)
    if isinstance(error, TransientError):
        typer.echo(
            "`stream-durable config show --origin` shows the addresses in use and their origin.", err=True
        )
    raise typer.Exit(exit_code(error)) from None


def _colour() -> bool | None:
    return None if sys.stderr.isatty() else False
