"""Every setting: one frozen tree, and the only place for reading the environment.

`Settings.load()` reads a TOML file, then the environment, which wins; creating a `Settings` by hand reads
nothing. An unknown key is refused with the nearest known key: a misspelt setting, silently ignored, would be
found only in production. Each value remembers its origin, for `config show`. A secret is in no repr, no error
and no output of this package.

`branches` has the settings, `tree` and `sources` load them, `rows` and `page` show them, and `safety` refuses
connections readable in transit.
"""

from stream_durable.settings.addresses import MASK, host_of, is_loopback
from stream_durable.settings.api import ApiSettings
from stream_durable.settings.branches import (
    EngineSettings,
    HealthSettings,
    KafkaSettings,
    LogSettings,
    PostgresSettings,
    SecuritySettings,
    WorkerSettings,
)
from stream_durable.settings.registry import RegistrySettings
from stream_durable.settings.rows import SettingRow, describe, masked, plain_value
from stream_durable.settings.safety import check_safety, database_address, far_brokers, far_database
from stream_durable.settings.sources import ENVIRONMENT_PREFIX, Origin, SettingsError, environment_name
from stream_durable.settings.tree import CONFIG_VARIABLE, DEFAULT_FILE, Settings

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_FILE",
    "ENVIRONMENT_PREFIX",
    "MASK",
    "ApiSettings",
    "EngineSettings",
    "HealthSettings",
    "KafkaSettings",
    "LogSettings",
    "Origin",
    "PostgresSettings",
    "RegistrySettings",
    "SecuritySettings",
    "SettingRow",
    "Settings",
    "SettingsError",
    "WorkerSettings",
    "check_safety",
    "database_address",
    "describe",
    "environment_name",
    "far_brokers",
    "far_database",
    "host_of",
    "is_loopback",
    "masked",
    "plain_value",
]
