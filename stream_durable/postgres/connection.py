"""Connections to Postgres, and the classification of its errors as transient or not."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from stream_durable.core.errors import (
    BrokenError,
    StatementError,
    StreamDurableError,
    SystemicError,
    TransientError,
)
from stream_durable.settings import PostgresSettings, database_address

#: The reconciler's statements join a few rows by key. A plan that scans a table was right when the
#: table was empty and is a disaster when it no longer is; so such plans are never taken.
KEYED_PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
}

#: Conditions differ from query to query: a generic plan would suit none.
FITTED_PLANS = {"plan_cache_mode": "force_custom_plan", "jit": "off"}

#: Errors of writes while reads may still work: retried every two seconds.
_TROUBLE_SECONDS = 5.0
_CONNECT_SECONDS = 10

#: Errors of the connection, not of the statement.
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

#: Another transaction was in the way, no connection was free, or the server is going: the same may pass.
_AGAIN = frozenset({"40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03", "57P05"})

#: Statements over a limit; a smaller one might pass.
_TOO_MUCH = frozenset({"57014", "53200"})

#: Every statement is refused: the database is read-only, refuses us, lacks a named object, is full, or shuts
#: down. Any other refusal may be about one row (a trigger, a damaged page): the others can be saved then.
_ANYTHING = frozenset({"0A", "25", "28", "3D", "3F", "42", "53", "57", "58"})

#: Data unfit for storage: a value no column takes, or a limit of the program.
_DATA = frozenset({"22", "54"})

#: Constraints of ours; a violation means rows other than expected. Other constraints were added by somebody
#: else.
_OUR_CONSTRAINT = re.compile(r"\w+_(pkey|status_check)")

#: Classes whose messages may quote what was to be stored, or come from somebody's trigger.
_QUOTING = frozenset({"22", "P0"})


async def connect(
    settings: PostgresSettings,
    *,
    keyed_plans: bool = False,
    is_patient: bool = False,
    is_read_only: bool = False,
) -> asyncpg.Connection:
    """Open a connection limited to the schema; statements have a time limit unless patient."""
    server_settings = {
        "search_path": settings.db_schema,
        "application_name": "stream_durable",
        "statement_timeout": "0" if is_patient else str(settings.statement_timeout_ms),
        "lock_timeout": "0" if is_patient else str(settings.lock_timeout_ms),
        # A stopped client must not hold a lock for as long as it is stopped.
        "idle_in_transaction_session_timeout": "1000",
        # Otherwise as the database says: it may have been made read-only on purpose.
        **({"default_transaction_read_only": "on"} if is_read_only else {}),
        **(KEYED_PLANS if keyed_plans else FITTED_PLANS),
    }
    try:
        return await asyncpg.connect(
            settings.dsn.get_secret_value(),
            timeout=_CONNECT_SECONDS,
            command_timeout=None if is_patient else settings.statement_timeout_ms / 1_000 + 5,
            server_settings=server_settings,
        )
    except asyncpg.PostgresError as error:
        found = _of_server(error, is_migrated=False)
        found.args = (f"{_named(settings)}: {found}",)
        raise found from None
    except TimeoutError:
        raise TransientError(f"{_named(settings)}: no answer within {_CONNECT_SECONDS} s") from None
    except _LOST as error:
        raise TransientError(f"{_named(settings)}: {_said(error)}") from error


def _named(settings: PostgresSettings) -> str:
    """Name the database, and the setting with the address."""
    return f"Postgres at {database_address(settings)} (postgres.dsn)"


def _said(error: BaseException) -> str:
    """Return what the driver says, without the numbers of the system's errors."""
    if isinstance(error, OSError) and error.strerror and error.errno is not None:
        return os.strerror(error.errno) if error.errno > 0 else error.strerror
    if isinstance(error, asyncpg.InternalClientError):
        # Used between the server's last word and the end of the connection.
        return "the server has ended the connection"
    return f"{type(error).__name__}: {error}"


class translated:  # noqa: N801
    """Turns the driver's errors into ours at the border: no exception of the driver passes a port.

    The class of each error tells the remedy, and no error quotes stored data.
    """

    def __init__(self, *, is_migrated: bool = False) -> None:
        """Where the schema was found to be there, a table that is missing will come back."""
        self._is_migrated = is_migrated

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise our error in place of the driver's."""
        if isinstance(error, asyncpg.PostgresError):
            raise _of_server(error, is_migrated=self._is_migrated) from None
        if isinstance(error, TimeoutError):
            raise StatementError("the statement took longer than it may", is_data=False) from None
        if isinstance(error, _LOST):
            raise TransientError(f"Postgres: {_said(error)}") from error


def _of_server(error: asyncpg.PostgresError, *, is_migrated: bool) -> StreamDurableError:
    """Return our error for a server error."""
    state = error.sqlstate or ""
    text = _described(error)
    if isinstance(error, asyncpg.UndefinedTableError | asyncpg.InvalidSchemaNameError):
        missing = f"{text}: the schema was not migrated: run `stream-durable db migrate`"
        return SystemicError(missing) if is_migrated else BrokenError(missing)
    if state[:2] == "08" or state in _AGAIN:
        return TransientError(text)
    if state[:2] in _DATA or state in _TOO_MUCH:
        return StatementError(text, is_data=state[:2] in _DATA)
    if state[:2] == "23":
        is_ours = _OUR_CONSTRAINT.fullmatch(error.constraint_name or "")
        remedy = (
            "the tables hold what this process did not write: see `stream-durable replay verify`"
            if is_ours
            else "drop the constraint, it is none of ours"
        )
        return StatementError(f"{text}: {remedy}", is_data=False)
    return SystemicError(text) if state[:2] in _ANYTHING else StatementError(text, is_data=False)


def _described(error: asyncpg.PostgresError) -> str:
    """Return the server's message without the detail, which quotes rows."""
    state = error.sqlstate or ""
    places = [
        f"{what} {name}"
        for what in ("constraint", "table", "column")
        if (name := getattr(error, f"{what}_name", None))
    ]
    message = getattr(error, "message", None) or (str(error) if state[:2] == "08" else "")
    said = "" if state[:2] in _QUOTING or not message else f": {message}"
    return " ".join([f"{type(error).__name__} {state}".rstrip(), *(f"({place})" for place in places)]) + said


class Lane:
    """A connection opened when needed, used by one caller at a time, and replaced when in doubt."""

    def __init__(
        self,
        settings: PostgresSettings,
        *,
        keyed_plans: bool,
        is_migrated: bool = False,
        is_read_only: bool = False,
    ) -> None:
        """Open nothing yet; `is_migrated` says that the schema was found to be there."""
        self._is_read_only = is_read_only
        self._settings = settings
        self._is_migrated = is_migrated
        self._keyed_plans = keyed_plans
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()
        #: The last reason for refusing everybody, with its time.
        self._trouble: tuple[str, float] | None = None

    @asynccontextmanager
    async def use(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend the connection; after any error the connection is discarded, since the state is in doubt."""
        async with self._lock:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(
                        self._settings, keyed_plans=self._keyed_plans, is_read_only=self._is_read_only
                    )
                with translated(is_migrated=self._is_migrated):
                    yield self._connection
            except BaseException as error:
                if isinstance(error, SystemicError):
                    self._trouble = str(error), time.monotonic()
                # Never `close()`: on a doubtful connection it can wait for ever.
                if self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
                raise

    def trouble(self) -> str | None:
        """Say why the database refuses everybody, if it has done so within the last seconds."""
        if self._trouble is None or time.monotonic() - self._trouble[1] > _TROUBLE_SECONDS:
            return None
        return self._trouble[0]

    async def close(self) -> None:
        """Let go."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
