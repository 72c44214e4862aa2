"""Connections to Postgres, and which of its errors mean that trying again may help."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from stream_durable.core.errors import BrokenError, TransientError
from stream_durable.settings import PostgresSettings

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

#: What people look for differs from time to time: a plan that would suit any of it suits none.
FITTED_PLANS = {"plan_cache_mode": "force_custom_plan", "jit": "off"}

_TRANSIENT = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)


async def connect(
    settings: PostgresSettings, *, keyed_plans: bool = False, is_patient: bool = False
) -> asyncpg.Connection:
    """Open a connection that sees our schema alone; its statements are bounded unless it is patient."""
    server_settings = {
        "search_path": settings.db_schema,
        "application_name": "stream_durable",
        "statement_timeout": "0" if is_patient else str(settings.statement_timeout_ms),
        "lock_timeout": "0" if is_patient else str(settings.lock_timeout_ms),
        # A stopped client must not hold a lock for as long as it is stopped.
        "idle_in_transaction_session_timeout": "1000",
        **(KEYED_PLANS if keyed_plans else FITTED_PLANS),
    }
    with translated():
        return await asyncpg.connect(
            settings.dsn.get_secret_value(),
            timeout=10,
            command_timeout=None if is_patient else settings.statement_timeout_ms / 1_000 + 5,
            server_settings=server_settings,
        )


class translated:  # noqa: N801
    """Turns the driver's errors into ours at the border: no exception of the driver passes a port."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise our error for the driver's."""
        if error is None or isinstance(error, asyncio.CancelledError):
            return
        if isinstance(error, _TRANSIENT):
            raise TransientError(f"{type(error).__name__}: {error}") from error
        if isinstance(error, asyncpg.UndefinedTableError | asyncpg.InvalidSchemaNameError):
            remedy = "the schema was not migrated: run `stream-durable db migrate`"
            raise BrokenError(f"{error}: {remedy}") from error
        if isinstance(error, asyncpg.PostgresError):
            raise BrokenError(f"{type(error).__name__}: {error}") from error


class Lane:
    """One connection that is opened when needed, used by one caller at a time, and replaced when in doubt."""

    def __init__(self, settings: PostgresSettings, *, keyed_plans: bool) -> None:
        """Open nothing yet."""
        self._settings = settings
        self._keyed_plans = keyed_plans
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend the connection; after any error it is thrown away, since its state is in doubt."""
        async with self._lock:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._settings, keyed_plans=self._keyed_plans)
            try:
                with translated():
                    yield self._connection
            except BaseException:
                # Never `close()`: on a doubtful connection it can wait for ever.
                self._connection.terminate()
                self._connection = None
                raise

    async def close(self) -> None:
        """Let go."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
