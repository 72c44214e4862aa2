"""The branch of the HTTP API."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from stream_durable.settings.branches import Branch, checked_dsn, off_to_none


class ApiSettings(Branch):
    """The HTTP API and the page on it."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=255)
    """Address to listen on. Loopback needs no token; any other address refuses to start without one, unless
    `security.insecure` is set: `stream-durable api-tokens create` makes tokens. Put TLS before it."""
    port: int = Field(default=8400, ge=0, le=65_535)
    """Port to listen on; 0 takes a free port, named in the log."""
    base_path: str = Field(default="", pattern=r"^(/[A-Za-z0-9_.~-]+)*$", max_length=200)
    """Path below which a proxy shows the API and the page, such as `/durable`. Empty: at the root."""
    dsn: Annotated[SecretStr | None, BeforeValidator(off_to_none)] = Field(default=None)
    """Address of Postgres with a role that may only read the schema; by default that of `postgres.dsn`, in
    transactions that are read-only."""

    @field_validator("dsn")
    @classmethod
    def _check_dsn(cls, dsn: SecretStr | None) -> SecretStr | None:
        return None if dsn is None else checked_dsn(dsn)
