"""Every setting: one frozen tree, and the only place that reads the environment.

`Settings.load()` reads a TOML file, then the environment, which wins; making a `Settings` by hand
reads nothing. A key that is not here is refused with the nearest one that is, for a misspelt
setting that is silently ignored is found in production. Each value remembers where it came from,
so that `config show` can say it. A secret is in no repr, no error and no output of this module.

`python -m stream_durable.settings` prints docs/reference/settings.md.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, get_args, get_origin
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from annotated_types import Ge, Le, MaxLen
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from stream_durable.core.errors import RejectedError
from stream_durable.machine import cache_bytes

#: `dev`: said by the `stream-durable dev` that runs in this directory. The last is a default, too: one that
#: follows from the machine.
Origin = Literal["default", "file", "env", "code", "dev", "memory of the machine"]

DEFAULT_FILE: Final = Path("stream_durable.toml")
ENVIRONMENT_PREFIX: Final = "STREAM_DURABLE_"
CONFIG_VARIABLE: Final = "STREAM_DURABLE_CONFIG"
MASK: Final = "********"

_PROPERTIES: Final = "kafka.properties"
#: Defaults that follow from the memory of the machine, and how the reference says them.
_OF_MEMORY: Final = {"engine.cache_bytes_max": "an eighth of the memory, 67108864 to 1073741824"}
_DEFAULTS: Final = ("default", "memory of the machine")
_SECRET_WORDS: Final = ("password", "secret", "token", "key")
_BROKER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s,:/\[\]@]+)(:[0-9]{1,5})?")
_ENCRYPTED_PROTOCOLS: Final = ("ssl", "sasl_ssl")
_ENCRYPTED_MODES: Final = ("require", "verify-ca", "verify-full")

#: Properties that carry our guarantees, or that have a setting of their own.
_OUR_PROPERTIES: Final = frozenset(
    {
        "acks",
        "auto.offset.reset",
        "bootstrap.servers",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "group.id",
        "heartbeat.interval.ms",
        "message.max.bytes",
        "metadata.broker.list",
        "partition.assignment.strategy",
        "partitioner",
        "request.required.acks",
        "session.timeout.ms",
        "transactional.id",
    }
)

#: What may be a part of a topic's name, and leaves room for the rest of it.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=100)]
#: What needs no quotes in SQL and is not cut by the server.
Schema = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$", max_length=63)]


class SettingsError(RejectedError):
    """The settings cannot be used; `problems` are sentences that each name the key they are about."""

    def __init__(self, code: str, problems: Sequence[str]) -> None:
        super().__init__(code, "\n".join(problems))
        self.problems = tuple(problems)


class Branch(BaseModel):
    """A part of the tree. Each service is given its own branch and no other."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class KafkaSettings(Branch):
    """The brokers, and how our topics are made."""

    bootstrap: str = Field(default="127.0.0.1:9092")
    """Brokers to ask first, as `host:port,host:port`; the rest of the cluster is learnt from them. With a
    single one, nothing can start while that broker is down."""
    partitions: int = Field(default=8, ge=1, le=1024)
    """Partitions of each keyed topic, fixed when the topics are made: a key must never move. It bounds
    how many reconcilers can share the work; many under little load cost CPU, since batches get small
    (measured: 49 µs a message over 8, 186 µs over 64)."""
    replication: int = Field(default=3, ge=1, le=32)
    """Brokers that keep each record. With 1, a broken disk loses accepted work; more than the cluster has
    brokers, and the topics cannot be made. `dev` and `local` set 1."""
    properties: Mapping[str, str] = Field(default_factory=dict, repr=False)
    """Raw librdkafka properties for every client, such as `security.protocol` and `sasl.*`. Those that
    carry our guarantees are refused; the others are yours, and a wrong one may cost latency or the
    connection."""
    session_timeout_ms: int = Field(default=6_000, ge=1_000, le=300_000)
    """After this long without a heartbeat a dead process loses its partitions, so it is the time of a
    failover. Below 6 s stock brokers refuse it, and a pause of the machine moves partitions for nothing;
    high, and work stands still after a crash."""
    heartbeat_ms: int = Field(default=1_000, ge=100, le=100_000)
    """Interval of the group's heartbeats, at most a third of the session timeout: nearer to it, one lost
    packet costs the partitions. Very low only loads the coordinator."""

    @field_validator("bootstrap")
    @classmethod
    def _check_bootstrap(cls, bootstrap: str) -> str:
        brokers = [broker.strip() for broker in bootstrap.split(",")]
        if not all(_BROKER.fullmatch(broker) for broker in brokers):
            raise ValueError(
                "write host:port,host:port; the protocol belongs into kafka.properties as security.protocol"
            )
        return ",".join(brokers)

    @field_validator("properties", mode="before")
    @classmethod
    def _to_text(cls, properties: object) -> object:
        """Let TOML say `true` and `500` where librdkafka wants text."""
        if not isinstance(properties, Mapping):
            return properties
        return {
            key: _as_text(value) if isinstance(value, bool | int | float) else value
            for key, value in properties.items()
        }

    @field_validator("properties")
    @classmethod
    def _check_properties(cls, properties: Mapping[str, str]) -> Mapping[str, str]:
        if ours := sorted(_OUR_PROPERTIES & properties.keys()):
            raise ValueError(f"{', '.join(ours)}: set by stream_durable, whose guarantees rest on it")
        return properties

    @model_validator(mode="after")
    def _check_heartbeat(self) -> Self:
        if self.heartbeat_ms * 3 > self.session_timeout_ms:
            raise ValueError("heartbeat_ms may be a third of session_timeout_ms at most")
        return self


class PostgresSettings(Branch):
    """The database that holds the state."""

    dsn: SecretStr = Field(default=SecretStr("postgresql://127.0.0.1:5432/postgres"))
    """Address of the primary, as `postgresql://user:password@host:port/database?sslmode=verify-full`. A
    replica shows orders the primary never had, so point it at no replica."""
    db_schema: Schema = Field(default="stream_durable")
    """Schema of all our tables. With `prefix` it makes an isolated instance: two instances that share it
    fence each other for ever."""
    statement_timeout_ms: int = Field(default=30_000, ge=100, le=3_600_000)
    """The server ends a statement that runs longer. Too low, and a large batch on a busy disk is tried
    again and again; too high, and a stuck one holds its partition for as long."""
    lock_timeout_ms: int = Field(default=3_000, ge=10, le=600_000)
    """How long a takeover waits for the row of its partition before it looks for the blocker. Too low
    ends healthy commits, too high lengthens a failover. Less than the statement timeout."""

    @field_validator("dsn")
    @classmethod
    def _check_dsn(cls, dsn: SecretStr) -> SecretStr:
        address = _split_dsn(dsn)
        if address.scheme not in ("postgresql", "postgres"):
            raise ValueError("write postgresql://user:password@host:port/database")
        if address.netloc.count("@") > 1 or "@" in address.path + address.query + address.fragment:
            raise ValueError("percent-encode @ / ? # : in the user and the password")
        if not any(_postgres_hosts(dsn)):
            raise ValueError("it names no host; for a socket write ?host=/path/of/the/socket")
        return dsn

    @model_validator(mode="after")
    def _check_timeouts(self) -> Self:
        if self.lock_timeout_ms >= self.statement_timeout_ms:
            raise ValueError("lock_timeout_ms must be less than statement_timeout_ms")
        return self


class EngineSettings(Branch):
    """The reconciler: how much it takes at once, what it keeps in memory, when it stops."""

    batch_records_max: int = Field(default=2_000, ge=1, le=100_000)
    """Records folded into one commit at most; a batch is never waited for, so it bounds only a backlog.
    Low, and each record pays for a commit; high, and a commit takes seconds and memory."""
    batch_bytes_max: int = Field(default=8_000_000, ge=1_000_000, le=1 << 30)
    """Bytes of the records in one commit, and of what they have to hand over to workers, at most; a record
    alone passes whatever it has. The process holds a few times as much: as read, as rows, as messages. Low,
    and large payloads pay for a commit each; high, and a burst of them fills the memory."""
    cache_bytes_max: int = Field(default_factory=cache_bytes, ge=1024 * 1024, le=1 << 40)
    """State of entities kept in memory per process, as estimated; what it takes can be three times as much.
    The memory is what the process's control group allows, else what the machine has. Too low, and every
    batch reads from Postgres what it folds; too high, and the process is killed for its memory."""
    timer_horizon_ms: int = Field(default=60_000, ge=1_000, le=86_400_000)
    """Timers due within this time are held in memory, the others are left in Postgres. Low, and Postgres
    is asked often; high, and memory holds what is not needed yet."""
    timers_held_max: int = Field(default=50_000, ge=100, le=10_000_000)
    """Timers held in memory at most, per process; the nearest are kept. Too low, and a burst of due
    timers is read in many small queries; too high, and a mass of them fills the memory."""
    event_ttl_ms: int = Field(default=86_400_000, ge=1_000, le=366 * 86_400_000)
    """How long an event that nobody waits for is kept for a wait to come. Too short, and an event that
    was early is lost to its run; too long, and unclaimed ones fill the table."""
    on_lost_log: Literal["halt", "continue_earliest", "continue_latest"] = Field(default="halt")
    """What a partition does whose log was truncated, deleted or replaced: wait for a person, or go on at
    the oldest or the newest record left. To go on is to accept that records are gone."""
    unpublished_bytes_max: int = Field(default=16_000_000, ge=1_000_000, le=1 << 34)
    """Messages of a partition that are saved and that Kafka has not acknowledged: with more, the partition
    waits. Low slows a reconciler down while a broker is slow; high lets one that is away fill the memory."""
    stall_takeovers_max: int = Field(default=3, ge=1, le=100)
    """Takeovers of a partition without progress after which its next record is folded alone and, if it
    kills the process again, set aside. 1 blames a record for any crash; high prolongs the outage."""


def _split_commas(value: object) -> object:
    """Let a list be written in one environment variable."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class WorkerSettings(Branch):
    """The process that runs the steps."""

    queues: Annotated[tuple[Name, ...], BeforeValidator(_split_commas)] = Field(
        default=("default",), min_length=1, max_length=100
    )
    """Queues whose commands this worker takes; with commas in the environment. A queue that no worker
    names keeps its steps waiting for ever."""
    concurrency: int = Field(default=100, ge=1, le=100_000)
    """Attempts that run at the same time, and as many wait. Half of these places and of the threads are
    shared out among the queues, so that none holds up another. Low leaves async handlers waiting for each
    other; high lets a burst overload what the steps call."""
    waiting_bytes_max: int = Field(default=32_000_000, ge=1_000_000, le=1 << 34)
    """Bytes of the commands that wait in this worker, in all; each queue has its share, and reads half as
    much ahead. Low lets large commands wait for each other; high lets a burst of them fill the memory."""
    threads: int = Field(default=8, ge=1, le=1_000)
    """Threads for handlers that are not async. Each blocked call takes one: too few, and steps queue
    behind slow ones, not begun; too many fight for the interpreter."""
    threads_overdue_max: int = Field(default=8, ge=0, le=1_000)
    """Threads that may go on at attempts whose time is over, each replaced by another one. With more the
    worker begins nothing, says why, and ends to be started anew. Low restarts it often; high lets threads
    that hang fill the memory."""
    processes: int = Field(default=2, ge=1, le=256)
    """Processes for steps with `process=True`, begun when the first such step comes. More than the machine
    has cores, and they take turns; too few, and such steps queue behind each other."""
    payload_inline_bytes_max: int = Field(default=100_000, ge=1_000, le=900_000)
    """Outputs above this go to the topic of large values, and a reference to them goes everywhere else. Low
    costs more steps a round trip to Kafka; high moves large values through the inbox and into Postgres."""
    started_after_ms: int = Field(default=1_000, ge=10, le=60_000)
    """An attempt that runs longer says that it has started, and is under lease from then on. Low costs
    every step a message; high makes a worker's crash repeat more of its steps."""
    lease_ms: int = Field(default=30_000, ge=1_000, le=3_600_000)
    """How long after its latest heartbeat a long attempt is given up and made again. Low, and a pause of
    the worker runs a step twice; high, and the step of a dead worker waits that long."""
    heartbeat_ms: int = Field(default=10_000, ge=100, le=1_200_000)
    """Interval of the heartbeats of a long attempt, at most half of the lease. Each is a record that is
    folded, so low multiplies the load of long steps."""
    blocked_after_ms: int = Field(default=5_000, ge=100, le=600_000)
    """How long an async step may keep the event loop from turning before the log names it with its stack;
    if its time is over by then, the worker ends. Low ends workers for a slow call; high lets one stand."""
    blocked_max_ms: int = Field(default=30_000, ge=200, le=3_600_000)
    """How long it may at most: then its attempt fails with `loop_blocked`, all others are handed back, and
    the worker ends to be started anew. Low repeats the work beside it; high lets that wait."""
    step_timeout_ms: int = Field(default=0, ge=0, le=1 << 40)
    """How long one attempt may take of a step for which neither it nor its workflow says so; 0: as long as
    it likes. Low fails steps that would have ended; without it, one that hangs holds its run for ever."""
    step_log_level: Literal["debug", "info", "warning", "error", "none"] = "debug"
    """From which level on the lines that steps log are kept with their attempts. Low costs bytes on the
    inbox and rows; high leaves attempts without the words that explain them."""
    step_log_print: bool = True
    """Whether what steps print is kept, too. It may be what a library says to nobody in particular."""
    step_log_lines_max: int = Field(default=200, ge=1, le=5_000)
    """So many lines of an attempt are kept, the first ones. High makes results large; low cuts the end."""
    step_log_line_length_max: int = Field(default=2_000, ge=40, le=20_000)
    """So many characters of a line are kept. High lets one line take the place of many; low cuts values."""
    step_log_bytes_max: int = Field(default=65_536, ge=1_000, le=65_536)
    """So many bytes of lines are kept of an attempt. They travel with its result, which has no room for more
    beside its output; low cuts the end off."""
    drain_ms: int = Field(default=30_000, ge=0, le=3_600_000)
    """How long a stop waits for running attempts before it cancels them and hands them back. Must be less
    than what the platform grants before it kills; 0 cancels at once."""
    offset_commit_ms: int = Field(default=1_000, ge=50, le=60_000)
    """Interval at which done commands are committed. Low loads the coordinator; high repeats more
    finished attempts after a crash."""
    id: str = Field(default="", max_length=200, pattern=r"^[A-Za-z0-9_.@:-]*$")
    """Name of this worker in runs, logs and lists; empty: host name and process id. Two workers with one
    name cannot be told apart."""

    @model_validator(mode="after")
    def _check_heartbeat(self) -> Self:
        if self.heartbeat_ms * 2 > self.lease_ms:
            raise ValueError("heartbeat_ms may be half of lease_ms at most")
        if self.blocked_after_ms > self.blocked_max_ms:
            raise ValueError("blocked_after_ms may not be more than blocked_max_ms")
        return self


def _off_to_none(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() == "off" else value


class HealthSettings(Branch):
    """The small HTTP server with `/livez`, `/readyz` and `/metrics`."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Address it listens on. It has no authentication: an address beyond loopback, which a container
    needs, shows the metrics and the reasons of failing checks to that network."""
    port: Annotated[int | None, BeforeValidator(_off_to_none)] = Field(default=None, ge=0, le=65_535)
    """Port it listens on. Off by default, since several processes on one host cannot share a port; 0
    takes a free one, which the log names."""


class LogSettings(Branch):
    """What a process says about itself, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda level: level.lower() if isinstance(level, str) else level),
    ] = Field(default="info")
    """Least level that is shown. `debug` writes a line for each batch and attempt and costs throughput;
    `error` hides what healed itself, and its frequency is a symptom."""
    format: Literal["auto", "json", "console"] = Field(default="auto")
    """`json` for machines, `console` for people, `auto`: console on a terminal. Coloured lines in a log
    collector cannot be searched by field."""


class SecuritySettings(Branch):
    """What start-up refuses."""

    insecure: bool = Field(default=False)
    """Allow connections without TLS to other machines. Everything on them, passwords and payloads
    included, can then be read and changed on the way."""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    prefix: Name = Field(default="sd")
    """What the names of all topics and consumer groups begin with. With `postgres.db_schema` it makes an
    isolated instance; changed later, it points at other, empty topics."""
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    postgres: PostgresSettings = Field(default_factory=PostgresSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    health: HealthSettings = Field(default_factory=HealthSettings)
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
        """Read the file, then the environment; raise a SettingsError that names all that is wrong.

        The file is `path`, else what STREAM_DURABLE_CONFIG names, else `stream_durable.toml` here, if any.
        """
        variables = _variables()
        named = variables.pop(CONFIG_VARIABLE, None)
        file = path or (Path(named) if named else None)
        if file is None and DEFAULT_FILE.is_file():
            file = DEFAULT_FILE
        given = [*([] if file is None else _from_file(file)), *_from_environment(variables)]
        return _build(given)

    def override(self, values: Mapping[str, object], *, origin: Origin = "code") -> Settings:
        """Return a validated copy with other values, by path: `{"kafka.replication": 1}`."""
        given = {path: _Given(path, value, origin, path) for path, value, origin in _explicit(self)}
        given |= {path: _Given(path, value, origin, path) for path, value in _flatten(values)}
        return _build(given.values())


class SettingRow(NamedTuple):
    """One line of `config show`."""

    path: str
    #: As text, secrets masked.
    value: str
    origin: Origin
    description: str

    @property
    def is_default(self) -> bool:
        """Whether nobody has set it."""
        return self.origin in _DEFAULTS


def describe(settings: Settings) -> list[SettingRow]:
    """Return every setting as it is, in the order of the tree; each Kafka property is a row of its own."""
    rows = []
    for path, field in _fields(Settings):
        # An attribute's docstring keeps its line breaks.
        description = " ".join((field.description or "").split())
        values = {path: _value(settings, path)}
        if path == _PROPERTIES and settings.kafka.properties:
            values = {f"{path}.{key}": value for key, value in settings.kafka.properties.items()}
        rows += [
            SettingRow(path, _shown(path, value), _origin(settings, path), description)
            for path, value in values.items()
        ]
    return rows


def plain_value(settings: Settings, path: str) -> str | None:
    """Return a setting as a variable of the environment holds it; None for what is, or holds, a secret.

    An address of a database is shown when there is no password in it.
    """
    if path.startswith(f"{_PROPERTIES}."):
        value: object = settings.kafka.properties[path.removeprefix(f"{_PROPERTIES}.")]
    else:
        value = _value(settings, path)
    shown = _shown(path, value)
    return None if MASK in shown else shown


def check_safety(settings: Settings) -> list[str]:
    """Refuse connections that can be read on the way; return what is allowed but worth a warning.

    With `security.insecure` what would be refused is among the notes.
    """
    dangers = [*_kafka_dangers(settings.kafka), *_postgres_dangers(settings.postgres)]
    if dangers and not settings.security.insecure:
        advice = f"to allow it all the same: {environment_name('security.insecure')}=true"
        raise SettingsError("settings_unsafe", [*dangers, advice])
    return [*dangers, *_notes(settings)]


def environment_name(path: str) -> str:
    """Return the variable that sets what is at this path."""
    return ENVIRONMENT_PREFIX + path.upper().replace(".", "__")


def reference() -> str:
    """Return docs/reference/settings.md."""
    rows = {row.path: row for row in describe(Settings())}
    lines = [_INTRODUCTION.rstrip()]
    branch = None
    for path, field in _fields(Settings):
        if (head := path.rpartition(".")[0]) != branch:
            branch = head
            title = f"\n## {branch}\n\n{(_branch(branch).__doc__ or '').strip()}\n" if branch else ""
            lines.append(
                f"{title}\n| setting | default | accepts | what it does |\n| --- | --- | --- | --- |"
            )
        default = rows[path].value
        cells = (
            f"`{path}`",
            _OF_MEMORY.get(path) or (f"`{default}`" if default else "(empty)"),
            _accepts(field),
            rows[path].description,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


_INTRODUCTION: Final = f"""\
# Settings

<!-- Generated: python -m stream_durable.settings > docs/reference/settings.md -->

A setting is written in a TOML file, in the environment, or in both; then the environment wins. The
file is `{DEFAULT_FILE}` in the working directory, or the one that `{CONFIG_VARIABLE}` names.

```toml
prefix = "shop"

[kafka]
bootstrap = "broker-1:9093,broker-2:9093"
properties."security.protocol" = "SASL_SSL"

[worker]
queues = ["default", "mail"]
```

In the environment a name is the path in capitals, with `{ENVIRONMENT_PREFIX}` before it and two
underscores for each dot: `{environment_name("kafka.bootstrap")}`. A list is written with commas. A
Kafka property is written with one underscore for each of its dots,
`{environment_name("kafka.properties")}__SASL_PASSWORD`, or all of them as a JSON object in
`{environment_name("kafka.properties")}`. An empty variable counts as absent.

Where none of these says where Kafka and Postgres are, commands and clients use those of a `stream-durable
dev` that runs in the working directory; what else is set wins over what `dev` says.

A name that is not listed here is refused. `stream-durable config show` prints what is in force and
where it came from. Numbers that end in `_ms` are milliseconds, in `_bytes_max` bytes.
"""


class _Given(NamedTuple):
    """A value as it was found, and what its finder calls it."""

    path: str
    value: object
    origin: Origin
    label: str


def _variables() -> dict[str, str]:
    found = EnvSettingsSource(Settings).env_vars
    names = {name.upper(): text for name, text in found.items() if text is not None}
    return {name: text for name, text in names.items() if name.startswith(ENVIRONMENT_PREFIX)}


def _from_environment(variables: Mapping[str, str]) -> Iterator[_Given]:
    """Yield what the variables set, the properties as a whole before single ones, which win."""
    for name, text in sorted(variables.items()):
        path = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
        if path == _PROPERTIES:
            for key, value in _flatten({path: _json_object(name, text)}):
                yield _Given(key, value, "env", name)
        elif path.startswith(f"{_PROPERTIES}."):
            key = path.removeprefix(f"{_PROPERTIES}.").replace("_", ".")
            yield _Given(f"{_PROPERTIES}.{key}", text, "env", name)
        else:
            yield _Given(path, text, "env", name)


def _json_object(name: str, text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SettingsError("settings_invalid", [f'{name}: write a JSON object, {{"property": "value"}}'])
    return found


def _from_file(file: Path) -> list[_Given]:
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError("settings_invalid", [f"{file}: {error.strerror or error}"]) from error
    except ValueError as error:
        raise SettingsError("settings_invalid", [f"{file}: not TOML: {error}"]) from error
    return [_Given(path, value, "file", f"{file}: {path}") for path, value in _flatten(tree)]


def _flatten(tree: Mapping[str, object], head: str = "") -> Iterator[tuple[str, object]]:
    """Yield the leaves by path; so `sasl.password` may be a key with a dot or a table in a table."""
    for key, value in tree.items():
        path = f"{head}{key}"
        if isinstance(value, dict) and (value or path in _BRANCHES):
            yield from _flatten(value, f"{path}.")
        else:
            yield path, value


def _unknown(given: _Given) -> str | None:
    """Say that there is no such setting, and which one was meant, in the words of where it was found."""
    if given.path in _BRANCHES:
        return f"{given.label}: it is not one setting but a table of them"
    if given.path in _PATHS or given.path.startswith(f"{_PROPERTIES}."):
        return None
    nearest = _nearest(given.path)
    meant = environment_name(nearest) if given.origin == "env" else nearest
    return f"{given.label}: there is no such setting; the nearest is {meant}"


def _nearest(path: str) -> str:
    """Return the known path most like this one; a right last part under a wrong head counts most."""
    leaf = path.rpartition(".")[2]
    same_leaf = [known for known in _PATHS if known.rpartition(".")[2] == leaf]
    return difflib.get_close_matches(path, same_leaf or _PATHS, n=1, cutoff=0)[0]


def _build(found: Iterable[_Given]) -> Settings:
    """Make the tree; of two values for one path the later wins."""
    given = {one.path: one for one in found}
    if problems := [problem for one in given.values() if (problem := _unknown(one))]:
        raise SettingsError("settings_invalid", problems)
    try:
        settings = Settings(**_tree(given))
    except ValidationError as error:
        raise SettingsError("settings_invalid", _problems(error, given)) from None
    settings._origins = {path: one.origin for path, one in given.items()}
    return settings


def _tree(given: Mapping[str, _Given]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, one in given.items():
        head, _, leaf = path.partition(".")
        if path.startswith(f"{_PROPERTIES}."):
            properties = tree.setdefault("kafka", {}).setdefault("properties", {})
            properties[path.removeprefix(f"{_PROPERTIES}.")] = one.value
        elif leaf:
            tree.setdefault(head, {})[leaf] = one.value
        else:
            tree[head] = one.value
    return tree


def _problems(error: ValidationError, given: Mapping[str, _Given]) -> list[str]:
    """Say what is wrong with which key, and never its value."""
    problems = []
    for one in error.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in one["loc"])
        near = next((known for path, known in given.items() if f"{place}.".startswith(f"{path}.")), None)
        own = one.get("ctx", {}).get("error")
        problems.append(f"{near.label if near else place}: {own or one['msg']}")
    return problems


def _explicit(settings: Settings) -> Iterator[tuple[str, object, Origin]]:
    """Yield what is not left to its default."""
    for path, _ in _fields(Settings):
        if path == _PROPERTIES:
            for key, value in settings.kafka.properties.items():
                yield f"{path}.{key}", value, _origin(settings, f"{path}.{key}")
        elif (origin := _origin(settings, path)) not in _DEFAULTS:
            yield path, _value(settings, path), origin


def _origin(settings: Settings, path: str) -> Origin:
    if path in settings._origins:
        return settings._origins[path]
    if path.startswith(f"{_PROPERTIES}."):
        return "code"
    head, _, leaf = path.rpartition(".")
    branch: BaseModel = getattr(settings, head) if head else settings
    if leaf in branch.model_fields_set and path != _PROPERTIES:
        return "code"
    return "memory of the machine" if path in _OF_MEMORY else "default"


def _value(settings: Settings, path: str) -> object:
    value: object = settings
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _fields(model: type[BaseModel], head: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Branch):
            yield from _fields(kind, f"{head}{name}.")
        else:
            yield f"{head}{name}", field


def _branch(name: str) -> type[BaseModel]:
    kind = Settings.model_fields[name].annotation
    assert isinstance(kind, type) and issubclass(kind, BaseModel)
    return kind


def _shown(path: str, value: object) -> str:
    if isinstance(value, SecretStr):
        return _masked_dsn(value)
    if path.startswith(f"{_PROPERTIES}.") and any(word in path.lower() for word in _SECRET_WORDS):
        return MASK
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, Mapping):
        return ""
    return "off" if value is None else _as_text(value)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _masked_dsn(dsn: SecretStr) -> str:
    """Show where it leads and as whom. A query may hold secrets."""
    address = _split_dsn(dsn)
    user, _, host = address.netloc.rpartition("@")
    name, _, password = user.partition(":")
    who = name + (f":{MASK}" if password else "") + ("@" if user else "")
    shown = f"{address.scheme}://{who}{host}{address.path}"
    options = {key: values[-1] for key, values in parse_qs(address.query).items()}
    query = [f"{key}={value if key in ('host', 'sslmode') else MASK}" for key, value in options.items()]
    return shown + (f"?{'&'.join(query)}" if query else "")


def _split_dsn(dsn: SecretStr) -> SplitResult:
    try:
        return urlsplit(dsn.get_secret_value())
    except ValueError:
        # The parser's own words quote what they are about.
        raise ValueError("write postgresql://user:password@host:port/database") from None


def _postgres_hosts(dsn: SecretStr) -> list[str]:
    return [_host(host) for host in _address_of(dsn).split(",")]


def _address_of(dsn: SecretStr) -> str:
    address = _split_dsn(dsn)
    return unquote(address.netloc.rpartition("@")[2]) or parse_qs(address.query).get("host", [""])[-1]


def _host(address: str) -> str:
    """Return an address without its port: `host:1`, `[::1]:1`, `::1`, `/a/socket`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address if address.count(":") > 1 else address.partition(":")[0]


def far_brokers(kafka: KafkaSettings) -> list[str]:
    """Return the brokers that are not on this machine."""
    return [broker for broker in kafka.bootstrap.split(",") if not _is_loopback(_host(broker))]


def far_database(postgres: PostgresSettings) -> list[str]:
    """Return the hosts of the database that are not this machine."""
    return [host for host in _postgres_hosts(postgres.dsn) if not _is_loopback(host)]


def database_address(postgres: PostgresSettings) -> str:
    """Return where the database is, without the user, the password and the rest."""
    return _address_of(postgres.dsn)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _kafka_dangers(kafka: KafkaSettings) -> list[str]:
    protocol = kafka.properties.get("security.protocol", "plaintext")
    far = far_brokers(kafka)
    if not far or protocol.lower() in _ENCRYPTED_PROTOCOLS:
        return []
    return [
        (
            f"kafka.bootstrap: {', '.join(far)} would be reached without TLS ({protocol}); "
            "set security.protocol to SSL or SASL_SSL in kafka.properties"
        )
    ]


def _postgres_dangers(postgres: PostgresSettings) -> list[str]:
    far = far_database(postgres)
    if not far or _ssl_mode(postgres) in _ENCRYPTED_MODES:
        return []
    return [
        (
            f"postgres.dsn: {', '.join(far)} could be reached without TLS (sslmode={_ssl_mode(postgres)}); "
            "add ?sslmode=verify-full"
        )
    ]


def _ssl_mode(postgres: PostgresSettings) -> str:
    """Return the mode as the driver reads it: `prefer` falls back to plaintext without a word."""
    return parse_qs(_split_dsn(postgres.dsn).query).get("sslmode", ["prefer"])[-1]


def _notes(settings: Settings) -> Iterator[str]:
    if settings.health.port is not None and not _is_loopback(settings.health.host):
        yield f"health.host: {settings.health.host} shows metrics and failing checks to the network"
    if _ssl_mode(settings.postgres) in ("require", "verify-ca"):
        yield "postgres.dsn: TLS does not verify who answers; verify-full does"
    properties = {key: value.lower() for key, value in settings.kafka.properties.items()}
    if (
        properties.get("enable.ssl.certificate.verification") in ("false", "f", "0")
        or properties.get("ssl.endpoint.identification.algorithm") == "none"
    ):
        yield f"{_PROPERTIES}: TLS does not verify who answers"
    if "debug" in properties:
        yield f"{_PROPERTIES}: debug makes librdkafka write much, and what it writes is not masked"


def _accepts(field: FieldInfo) -> str:
    """Say in words what a field takes."""
    kind = field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    if kind in (int, int | None):
        low = next(bound.ge for bound in field.metadata if isinstance(bound, Ge))
        high = next(bound.le for bound in field.metadata if isinstance(bound, Le))
        return f"{low} to {high}" + (", `off`" if kind is not int else "")
    if get_origin(kind) is tuple:
        return "a list of names"
    if kind is SecretStr:
        return "an address; secret"
    if get_origin(kind) is Mapping:
        return "a table of text"
    pattern = next((found for bound in field.metadata if (found := getattr(bound, "pattern", None))), None)
    if pattern is None:
        return "text"
    longest = next(bound.max_length for bound in field.metadata if isinstance(bound, MaxLen))
    return f"`{pattern.strip('^$')}`, up to {longest} characters"


_PATHS: Final = tuple(path for path, _ in _fields(Settings))
_BRANCHES: Final = frozenset(path.rpartition(".")[0] for path in _PATHS) - {""} | {_PROPERTIES}


if __name__ == "__main__":
    print(reference(), end="")
