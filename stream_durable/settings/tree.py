"""The tree of settings: loaded from a file and the environment, or made by hand, which reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, PrivateAttr
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from stream_durable.settings.api import ApiSettings
from stream_durable.settings.branches import (
    EngineSettings,
    HealthSettings,
    KafkaSettings,
    LogSettings,
    Name,
    PostgresSettings,
    SecuritySettings,
    WorkerSettings,
)
from stream_durable.settings.registry import RegistrySettings
from stream_durable.settings.sources import (
    ENVIRONMENT_PREFIX,
    PROPERTIES,
    Given,
    Origin,
    Shape,
    fields,
    make,
)

DEFAULT_FILE: Final = Path("stream_durable.toml")
CONFIG_VARIABLE: Final = "STREAM_DURABLE_CONFIG"
#: Defaults that follow from the memory of the machine, and how the reference says them.
OF_MEMORY: Final = {"engine.cache_bytes_max": "an eighth of the memory, 67108864 to 1073741824"}
#: Origins of what nobody has set.
DEFAULTS: Final = ("default", "memory of the machine")


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    prefix: Name = Field(default="sd")
    """Prefix of the names of all topics and consumer groups. Together with `postgres.db_schema` it makes an
    isolated instance; a changed prefix points at other, empty topics."""
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    postgres: PostgresSettings = Field(default_factory=PostgresSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    registry: RegistrySettings = Field(default_factory=RegistrySettings)
    health: HealthSettings = Field(default_factory=HealthSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    security: SecuritySettings = Field(default_factory=SecuritySettings)

    _origins: Mapping[str, Origin] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let only `load` read the outside, where unknown names are refused and origins are kept."""
        return (init_settings,)

    @classmethod
    def load(cls, path: Path | None = None) -> Settings:
        """Read the file, then the environment; raise a SettingsError with all problems.

        The file is `path`, else the path in STREAM_DURABLE_CONFIG, else `stream_durable.toml` here, if any.
        """
        variables = _variables()
        named = variables.pop(CONFIG_VARIABLE, None)
        file = path or (Path(named) if named else None)
        if file is None and DEFAULT_FILE.is_file():
            file = DEFAULT_FILE
        shape = Shape.of(cls)
        in_file = [] if file is None else shape.from_file(file)
        return cls._of([*in_file, *shape.from_environment(variables)])

    def override(self, values: Mapping[str, object], *, origin: Origin = "code") -> Settings:
        """Return a validated copy with other values, by path: `{"kafka.replication": 1}`."""
        others = Shape.of(type(self)).leaves(values)
        return self._of([*self._explicit(), *(Given(path, value, origin, path) for path, value in others)])

    def at(self, path: str) -> object:
        """Return the value or branch at a path; the settings themselves at the empty path."""
        value: object = self
        for part in path.split(".") if path else ():
            value = getattr(value, part)
        return value

    def origin(self, path: str) -> Origin:
        """Return where the value at a path came from."""
        if path in self._origins:
            return self._origins[path]
        if path.startswith(f"{PROPERTIES}."):
            return "code"
        head, _, leaf = path.rpartition(".")
        branch = self.at(head)
        assert isinstance(branch, BaseModel)
        if leaf in branch.model_fields_set and path != PROPERTIES:
            return "code"
        return "memory of the machine" if path in OF_MEMORY else "default"

    @classmethod
    def _of(cls, found: Iterable[Given]) -> Settings:
        """Make the tree; of two values for one path the later wins."""
        given = {one.path: one for one in found}
        settings = make(cls, given)
        settings._origins = {path: one.origin for path, one in given.items()}
        return settings

    def _explicit(self) -> Iterator[Given]:
        """Yield the values without defaults."""
        for path, _ in fields(type(self)):
            if path == PROPERTIES:
                for key, value in self.kafka.properties.items():
                    one = f"{path}.{key}"
                    yield Given(one, value, self.origin(one), one)
            elif (origin := self.origin(path)) not in DEFAULTS:
                yield Given(path, self.at(path), origin, path)


def _variables() -> dict[str, str]:
    found = EnvSettingsSource(Settings).env_vars
    names = {name.upper(): text for name, text in found.items() if text is not None}
    return {name: text for name, text in names.items() if name.startswith(ENVIRONMENT_PREFIX)}
