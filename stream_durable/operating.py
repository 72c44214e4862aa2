"""The state, the schema and the topics of an instance for operators' commands.

Apart from `bootstrap`: its import brings every processor along and costs a command 0.4 s. Functions
import the adapters of Kafka and of the state themselves: checking the schema takes none of those.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from stream_durable.core.errors import RejectedError
from stream_durable.postgres import migrate as migrations
from stream_durable.postgres.formats import Standing, formats
from stream_durable.settings import Settings

if TYPE_CHECKING:
    from stream_durable.ports import ApiTokens, OperatorViews, TopicStep


@asynccontextmanager
async def views(settings: Settings) -> AsyncIterator[OperatorViews]:
    """Open the state to read; nothing is connected before the first question."""
    from stream_durable.postgres.views import PostgresViews  # noqa: PLC0415

    found = PostgresViews(settings.postgres)
    try:
        yield found
    finally:
        await found.close()


@asynccontextmanager
async def api_tokens(settings: Settings) -> AsyncIterator[ApiTokens]:
    """Open the tokens of the API, to read and to write."""
    from stream_durable.postgres.api_tokens import PostgresApiTokens  # noqa: PLC0415

    found = PostgresApiTokens(settings.postgres)
    try:
        yield found
    finally:
        await found.close()


async def migrate(settings: Settings, *, say: Callable[[str], None]) -> list[str]:
    """Bring the schema up to date; return the migrations applied, and report each while it runs."""
    return await migrations.migrate(settings.postgres, settings.kafka.partitions, say=say)


async def missing_migrations(settings: Settings) -> list[str]:
    """Return the migrations still to be applied."""
    return await migrations.check(settings.postgres)


async def check_schema(settings: Settings) -> None:
    """Refuse to work on a schema of another version."""
    if pending := await missing_migrations(settings):
        lacking = f"schema {settings.postgres.db_schema} lacks {', '.join(pending)}"
        raise RejectedError("schema_outdated", f"{lacking}: run `stream-durable db migrate`")


async def standing(settings: Settings) -> list[Standing]:
    """Return the format, the owner and the position of each partition."""
    return await formats(settings.postgres)


async def plan_topics(settings: Settings, queues: Sequence[str]) -> list[TopicStep]:
    """Return the differences of the topics from the needs of an instance with these queues."""
    from stream_durable.kafka.topics import Topics  # noqa: PLC0415

    return await Topics(settings, tuple(queues)).plan()


async def apply_topics(settings: Settings, queues: Sequence[str]) -> list[TopicStep]:
    """Create missing topics and correct properties, unless something is refused; return the plan."""
    from stream_durable.kafka.topics import Topics  # noqa: PLC0415

    return await Topics(settings, tuple(queues)).apply()


async def create_topics(
    settings: Settings, names: Sequence[str], partitions: int | None, *, is_rehearsal: bool = False
) -> list[str]:
    """Create missing topics of the user; return their names. A rehearsal creates none."""
    from stream_durable.kafka.own_topics import make_own_topics, missing_topics  # noqa: PLC0415

    if is_rehearsal:
        return await missing_topics(settings.kafka, names)
    return await make_own_topics(settings.kafka, names, partitions or settings.kafka.partitions)
