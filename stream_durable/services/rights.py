"""Says at start when a process may do more than its role needs: a right too many is a way in too many."""

from __future__ import annotations

from stream_durable.core.errors import TransientError
from stream_durable.kafka.rights import excess
from stream_durable.postgres.formats import is_superuser
from stream_durable.settings import Settings, far_database
from stream_durable.telemetry import SETTINGS_QUESTIONED, logger
from stream_durable.wire.topics import full_name

_log = logger(__name__)


async def question_rights(settings: Settings, role: str) -> None:
    """Warn, in one line, of topics writable without need. Never blocks a start."""
    try:
        topics = await excess(settings, role)
    except TransientError:
        # A broker that does not say is no reason to wait.
        return
    if topics:
        named = ", ".join(full_name(settings.prefix, topic) for topic in topics)
        note = f"access rights: the {role} need not write {named}; take the right away"
        _log.warning(SETTINGS_QUESTIONED, note=note)


async def question_role(settings: Settings) -> None:
    """Warn when the role in Postgres may do everything, but for a database of this machine."""
    if far_database(settings.postgres) and await is_superuser(settings.postgres):
        note = "postgres.dsn: the role is a superuser; one that writes the tables of the schema is enough"
        _log.warning(SETTINGS_QUESTIONED, note=note)
