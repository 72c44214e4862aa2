"""The branch of the schema registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from stream_durable.settings.branches import Branch, off_to_none


class RegistrySettings(Branch):
    """A schema registry of Confluent's kind, for topics of others. It takes the extra `registry`."""

    url: str = Field(default="", pattern=r"^(https?://[^\s@]*)?$", max_length=2_000)
    """Address of the registry, without a password. Values of topics in Avro are then written with its frame,
    and values that have the frame are read by the schemas there. Empty: there is none."""
    credentials: Annotated[SecretStr | None, BeforeValidator(off_to_none)] = Field(default=None)
    """User and password for the registry, as `user:password`."""
    ca_location: str = Field(default="", max_length=4_000, pattern=r"^[^\x00]*$")
    """File with the certificates that the registry's is checked against; empty: those of the machine."""
