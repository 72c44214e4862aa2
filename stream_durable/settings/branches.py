"""The branches of the tree: every setting with its default, its bounds and what it does.

Each branch is checked by itself here. A secret is in no repr and no error.
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
    """After this long without a heartbeat a process loses its partitions. Those of a reconciler whose
    connections to Postgres have ended are taken over sooner, after a second or two. Below 6 s stock brokers
    refuse it, and a pause of the machine moves partitions for nothing; high, and work stands still after a
    crash of a worker or a machine."""
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
        address = split_dsn(dsn)
        if address.scheme not in ("postgresql", "postgres"):
            raise ValueError("write postgresql://user:password@host:port/database")
        if address.netloc.count("@") > 1 or "@" in address.path + address.query + address.fragment:
            raise ValueError("percent-encode @ / ? # : in the user and the password")
        if not any(hosts_of(dsn)):
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


def as_text(value: object) -> str:
    """Return a value as TOML and the environment write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
