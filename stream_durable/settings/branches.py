"""The branches of the tree: every setting with default, bounds and meaning.

Each branch is checked separately here. A secret is in no repr and no error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from stream_durable.machine import cache_bytes
from stream_durable.settings.addresses import hosts_of, split_dsn

_BROKER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s,:/\[\]@]+)(:[0-9]{1,5})?")

#: Properties required by our guarantees, or with a setting.
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


class Branch(BaseModel):
    """A part of the tree. Each service is given its own branch and no other."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )


class KafkaSettings(Branch):
    """The brokers, and the creation of topics."""

    bootstrap: str = Field(default="127.0.0.1:9092")
    """Brokers to contact first, as `host:port,host:port`; they name the rest of the cluster. With a single
    broker here, nothing can start while that broker is down."""
    partitions: int = Field(default=8, ge=1, le=1024)
    """Partitions of each keyed topic. Fixed when the topics are created: a key must never move. The number
    bounds how many reconcilers can share the work. Too many: small batches cost CPU (measured: 49 µs a
    message over 8, 186 µs over 64)."""
    replication: int = Field(default=3, ge=1, le=32)
    """Brokers that store each record. With 1, a broken disk loses accepted work. With more than the cluster
    has brokers, the topics cannot be created. `dev` and `local` set 1."""
    properties: Mapping[str, str] = Field(default_factory=dict, repr=False)
    """Raw librdkafka properties for every client, such as `security.protocol` and `sasl.*`. Properties that
    our guarantees depend on are refused; others are allowed, and a wrong value may cost latency or the
    connection."""
    session_timeout_ms: int = Field(default=6_000, ge=1_000, le=300_000)
    """A process loses its partitions after this long without a heartbeat. Partitions of a reconciler whose
    connections to Postgres have ended are taken over sooner, after a second or two. Too low: stock brokers
    refuse less than 6 s, and a pause of the machine moves partitions needlessly. Too high: work stands still
    after a crash of a worker or a machine."""
    heartbeat_ms: int = Field(default=1_000, ge=100, le=100_000)
    """Interval of the group's heartbeats, at most a third of the session timeout. Too high: one lost packet
    costs the partitions. Too low: load on the coordinator."""

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
            key: as_text(value) if isinstance(value, bool | int | float) else value
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


def checked_dsn(dsn: SecretStr) -> SecretStr:
    """Return the address of a database, or raise with what is wrong about it."""
    address = split_dsn(dsn)
    if address.scheme not in ("postgresql", "postgres"):
        raise ValueError("write postgresql://user:password@host:port/database")
    if address.netloc.count("@") > 1 or "@" in address.path + address.query + address.fragment:
        raise ValueError("percent-encode @ / ? # : in the user and the password")
    if not any(hosts_of(dsn)):
        raise ValueError("it names no host; for a socket write ?host=/path/of/the/socket")
    return dsn


class PostgresSettings(Branch):
    """The database of the state."""

    dsn: SecretStr = Field(default=SecretStr("postgresql://127.0.0.1:5432/postgres"))
    """Address of the primary, as `postgresql://user:password@host:port/database?sslmode=verify-full`. Never
    point it at a replica."""
    db_schema: Schema = Field(default="stream_durable")
    """Schema of all our tables. Together with `prefix` it makes an isolated instance: two instances that
    share a schema fence each other for ever."""
    statement_timeout_ms: int = Field(default=30_000, ge=100, le=3_600_000)
    """The server ends a statement that runs longer. Too low: a large batch on a busy disk is retried again
    and again. Too high: a stuck statement holds its partition as long."""
    lock_timeout_ms: int = Field(default=3_000, ge=10, le=600_000)
    """How long a takeover waits for the row of its partition before it looks for the blocker; less than the
    statement timeout. Too low: healthy commits are ended. Too high: failovers take longer."""

    @field_validator("dsn")
    @classmethod
    def _check_dsn(cls, dsn: SecretStr) -> SecretStr:
        return checked_dsn(dsn)

    @model_validator(mode="after")
    def _check_timeouts(self) -> Self:
        if self.lock_timeout_ms >= self.statement_timeout_ms:
            raise ValueError("lock_timeout_ms must be less than statement_timeout_ms")
        return self


class EngineSettings(Branch):
    """The reconciler: batches, memory, and stops."""

    batch_records_max: int = Field(default=2_000, ge=1, le=100_000)
    """Records in one commit at most. A batch is never waited for, so this bounds only a backlog. Too low:
    each record pays for a commit. Too high: a commit takes seconds and memory."""
    batch_bytes_max: int = Field(default=8_000_000, ge=1_000_000, le=1 << 30)
    """Bytes of the records in one commit, and of the values in their commands, at most; a single record may
    exceed it. The process holds a few times as much: as read, as rows, as messages. Too low: large payloads
    pay for a commit each. Too high: a burst of large payloads fills the memory."""
    cache_bytes_max: int = Field(default_factory=cache_bytes, ge=1024 * 1024, le=1 << 40)
    """State of entities kept in memory per process, as estimated; the real memory can be three times as much.
    A batch that needs more than a quarter of it from Postgres is applied in portions. The default is a share
    of the control group's limit, or of the machine's memory. Too low: every batch reads its entities from
    Postgres. Too high: the process is killed for its memory."""
    timer_horizon_ms: int = Field(default=60_000, ge=1_000, le=86_400_000)
    """Timers due within this time are held in memory, the others only in Postgres. Too low: frequent queries.
    Too high: memory for distant timers."""
    timers_held_max: int = Field(default=50_000, ge=100, le=10_000_000)
    """Timers held in memory at most, per process; the nearest are kept. Too low: a burst of due timers is
    read in many small queries. Too high: a mass of timers fills the memory."""
    event_ttl_ms: int = Field(default=86_400_000, ge=1_000, le=366 * 86_400_000)
    """How long an event without a wait is kept for a wait to come. Too short: an early event is lost to its
    run. Too long: unclaimed events fill the table."""
    on_lost_log: Literal["halt", "continue_earliest", "continue_latest"] = Field(default="halt")
    """What to do with a partition whose log was truncated, deleted or replaced: wait for a person, or
    continue at the oldest or the newest record left. Continuing accepts the loss of records."""
    begin_at_once: int = Field(default=500, ge=1, le=100_000)
    """Runs of a backlog that begin at once. A batch with more records is a sign of a backlog, and the others
    wait until some have ended, or are slow. Too low: workers wait for work. Too high: more runs are under way
    than memory holds, and each completes later."""
    unpublished_bytes_max: int = Field(default=16_000_000, ge=1_000_000, le=1 << 34)
    """A partition waits while more bytes of its saved messages lack an acknowledgement from Kafka. Too low: a
    slow broker slows the reconciler down. Too high: an unreachable broker fills the memory."""
    stall_takeovers_max: int = Field(default=3, ge=1, le=100)
    """After this many takeovers of a partition without progress, its next record is folded alone and, if it
    kills the process again, set aside. With 1, any crash puts the blame on a record. Too high: a longer
    outage."""


#: As many bits as the signature, if drawn from letters and digits alone.
_SECRET_LENGTH_MIN: Final = 32


def _split_commas(value: object) -> object:
    """Let a list be written in one environment variable."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class WorkerSettings(Branch):
    """The process for running steps."""

    queues: Annotated[tuple[Name, ...], BeforeValidator(_split_commas)] = Field(
        default=("default",), min_length=1, max_length=100
    )
    """Queues whose commands this worker takes; separated by commas in the environment. Steps of a queue
    without any worker wait for ever."""
    concurrency: int = Field(default=100, ge=1, le=100_000)
    """Attempts that run at the same time; as many more wait. Half of these places and of the threads are
    divided among the queues, so that no queue blocks another. Too low: async functions wait for each other.
    Too high: a burst overloads what the steps call."""
    waiting_bytes_max: int = Field(default=32_000_000, ge=1_000_000, le=1 << 34)
    """Bytes of the commands waiting in this worker, in all; each queue has its share, and reads half as much
    ahead. Too low: large commands wait for each other. Too high: a burst fills the memory."""
    suspended_max: int = Field(default=1_000, ge=0, le=1_000_000)
    """Functions kept in this worker while they wait, to go on where they stand; the one that has waited
    longest is given up first, and runs from its top later. 0: none. Too high: they fill the memory."""
    suspended_bytes_max: int = Field(default=64_000_000, ge=0, le=1 << 34)
    """Estimated bytes of these: of each the command and 4 kB."""
    threads: int = Field(default=8, ge=1, le=1_000)
    """Threads for functions that are not async. Each blocked call takes one. Too few: steps queue behind slow
    ones, not begun. Too many: they compete for the interpreter."""
    threads_overdue_max: int = Field(default=8, ge=0, le=1_000)
    """Threads that may still be busy with ended attempts, each replaced by another. Beyond this the worker
    begins nothing more, gives the reason, and ends to be restarted. Too low: frequent restarts. Too high:
    hanging threads fill the memory."""
    processes: int = Field(default=2, ge=1, le=256)
    """Processes for steps with `process=True`, started when first needed. More than the machine has cores:
    they take turns. Too few: such steps queue behind each other."""
    payload_inline_bytes_max: int = Field(default=100_000, ge=1_000, le=900_000)
    """Larger outputs go to the topic of large values, and a reference goes everywhere else. Too low: more
    steps pay for a round trip to Kafka. Too high: large values pass through the inbox and Postgres."""
    started_after_ms: int = Field(default=1_000, ge=10, le=60_000)
    """An attempt that runs longer is announced, and is under a lease from then on. Too low: every step costs
    a message. Too high: a worker's crash repeats more steps."""
    lease_ms: int = Field(default=30_000, ge=1_000, le=3_600_000)
    """A long attempt is repeated this long after its latest heartbeat. Too low: a pause of the worker runs a
    step twice. Too high: the step of a dead worker waits as long."""
    heartbeat_ms: int = Field(default=10_000, ge=100, le=1_200_000)
    """Interval of the heartbeats of a long attempt, at most half of the lease. Each is a record to fold. Too
    low: long steps cost a multiple."""
    blocked_after_ms: int = Field(default=5_000, ge=100, le=600_000)
    """How long an async step may block the event loop before the log names the step with its stack; if the
    step's time is over by then, the worker ends. Too low: workers end for a slow call. Too high: a blocked
    loop goes unnoticed."""
    blocked_max_ms: int = Field(default=30_000, ge=200, le=3_600_000)
    """How long an async step may block the event loop at most: then its attempt fails with `loop_blocked`,
    all others are returned, and the worker ends to be restarted. Too low: concurrent work is repeated. Too
    high: it waits."""
    step_timeout_ms: int = Field(default=0, ge=0, le=1 << 40)
    """Time limit of an attempt whose step and workflow have none; 0: no limit. Too low: slow steps fail.
    Without a limit, a hanging step holds its run for ever."""
    step_log_level: Literal["debug", "info", "warning", "error", "none"] = "debug"
    """Lowest level of the log lines kept with an attempt. Low levels cost bytes on the inbox and in rows;
    high levels leave attempts without explanation."""
    step_log_print: bool = True
    """Whether printed lines are kept too. Libraries may print as well."""
    step_log_lines_max: int = Field(default=200, ge=1, le=5_000)
    """Lines kept of an attempt, the first ones. Too high: large results. Too low: the end is cut."""
    step_log_line_length_max: int = Field(default=2_000, ge=40, le=20_000)
    """Characters kept of a line. Too high: one line takes the place of many. Too low: values are cut."""
    step_log_bytes_max: int = Field(default=65_536, ge=1_000, le=65_536)
    """Bytes of lines kept of an attempt. They travel with its result, which has no room for more beside its
    output. Too low: the end is cut."""
    drain_ms: int = Field(default=30_000, ge=0, le=3_600_000)
    """How long a stop waits for running attempts before cancelling and returning them; less than the
    platform's grace before a kill. 0 cancels at once."""
    offset_commit_ms: int = Field(default=1_000, ge=50, le=60_000)
    """Interval of commits of finished commands. Too low: load on the coordinator. Too high: a crash repeats
    more finished attempts."""
    presence_ms: int = Field(default=10_000, ge=100, le=600_000)
    """Interval of records about this worker on the control topic: queues, load, workflows. After three missed
    ones it counts as gone. Too low: records nobody reads. Too high: `workers list` is late."""
    id: str = Field(default="", max_length=200, pattern=r"^[A-Za-z0-9_.@:-]*$")
    """Name of this worker in runs, logs and lists; empty: host name and process id. Two workers with the same
    name cannot be distinguished."""

    @model_validator(mode="after")
    def _check_heartbeat(self) -> Self:
        if self.heartbeat_ms * 2 > self.lease_ms:
            raise ValueError("heartbeat_ms may be half of lease_ms at most")
        if self.blocked_after_ms > self.blocked_max_ms:
            raise ValueError("blocked_after_ms may not be more than blocked_max_ms")
        return self


def off_to_none(value: object) -> object:
    """Return None for `off`, the shown value of a setting without one."""
    return None if isinstance(value, str) and value.strip().lower() == "off" else value


class HealthSettings(Branch):
    """The small HTTP server with `/livez`, `/readyz` and `/metrics`."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Address to listen on. There is no authentication: an address beyond loopback, which a container needs,
    shows metrics and the reasons of failing checks to that network."""
    port: Annotated[int | None, BeforeValidator(off_to_none)] = Field(default=None, ge=0, le=65_535)
    """Port to listen on. Off by default, since several processes on one host cannot share a port; 0 takes a
    free port, named in the log."""


class LogSettings(Branch):
    """Logs of a process, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda level: level.lower() if isinstance(level, str) else level),
    ] = Field(default="info")
    """Lowest level shown. `debug` writes a line for each batch and attempt and costs throughput; `error`
    hides problems that healed by themselves, whose frequency is a symptom."""
    format: Literal["auto", "json", "console"] = Field(default="auto")
    """`json` for machines, `console` for people, `auto`: console on a terminal. Coloured lines in a log
    collector cannot be searched by field."""


class SecuritySettings(Branch):
    """Refusals at start-up, and secrets of the instance."""

    insecure: bool = Field(default=False)
    """Allow connections without TLS to other machines. Everything on them, passwords and payloads included,
    can then be read and changed in transit."""
    token_secrets: Annotated[tuple[SecretStr, ...], BeforeValidator(_split_commas)] = Field(
        default=(), max_length=10
    )
    """Secrets for tokens of steps ended from outside, at least 32 characters each, separated by commas in the
    environment. The first signs, and all are accepted: to rotate, put a new one first, and remove the old one
    when no token of it is in use. Workers, ingresses and clients need them as soon as a workflow uses
    `wait_token`; `openssl rand -base64 48` makes one, and `dev` makes its own. Who has one can end every step
    that ends by a token."""

    @field_validator("token_secrets")
    @classmethod
    def _check_secrets(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < _SECRET_LENGTH_MIN for secret in secrets):
            raise ValueError(
                f"a secret has {_SECRET_LENGTH_MIN} characters or more: `openssl rand -base64 48` makes one"
            )
        return secrets


def as_text(value: object) -> str:
    """Return a value in the notation of TOML and the environment."""
    return str(value).lower() if isinstance(value, bool) else str(value)
