"""The checks: what is wrong with an instance as it was seen. Nothing is asked here."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Final, assert_never

from stream_durable.client.skipping import remedy as skipping_remedy
from stream_durable.core.definition.nodes import uses_tokens
from stream_durable.core.definition.stranding import queues_of
from stream_durable.core.durations import length
from stream_durable.core.format import FORMAT
from stream_durable.explain.partition import trouble_of
from stream_durable.explain.phrases import counted
from stream_durable.explain.reason import named
from stream_durable.explain.stopped import Behind, LogLost, NoOwner
from stream_durable.ports import TimerRow
from stream_durable.services.doctor.finding import CheckName, Finding
from stream_durable.services.doctor.naming import numbered, runs_named, some
from stream_durable.services.doctor.seen import ROWS_MAX, Seen
from stream_durable.services.status import STANDS_MS, Readers, unserved
from stream_durable.wire.topics import DEAD, full_name

#: Clocks may differ by so much: timers are put on the log a little early or late, which is harmless.
SKEW_MS: Final = 2_000
#: A timer overdue for longer is forgotten, not late.
OVERDUE_MS: Final = 60_000
#: A run that is being undone changes at least this often, or is stuck.
UNDOING_MS: Final = 3_600_000


def findings(seen: Seen) -> list[Finding]:
    """Return everything wrong, check by check, problems first within a check."""
    found = []
    for name, check in CHECKS.items():
        made = list(check(seen))
        assert all(one.check == name for one in made), name
        found += sorted(made, key=lambda one: one.severity)
    return found


def _services(seen: Seen) -> Iterator[Finding]:
    for name, reason in seen.unreachable.items():
        remedy = "`stream-durable config show --origin` shows the address in use; start it, or correct that"
        yield Finding("services", "problem", name, f"does not answer: {reason}", remedy)


def _settings(seen: Seen) -> Iterator[Finding]:
    settings = seen.settings
    worker, engine = settings.worker, settings.engine
    if worker.blocked_max_ms > worker.lease_ms:
        yield Finding(
            "settings", "problem", "worker.blocked_max_ms",
            f"is {worker.blocked_max_ms}, above worker.lease_ms, {worker.lease_ms}: a blocked worker keeps "
            "its attempts while others repeat them",
            "set it to worker.lease_ms at most",
        )  # fmt: skip
    if engine.cache_bytes_max < 2 * engine.batch_bytes_max:
        yield Finding(
            "settings", "warning", "engine.cache_bytes_max",
            f"is {engine.cache_bytes_max}, less than two batches of engine.batch_bytes_max, "
            f"{engine.batch_bytes_max}: every batch reads its runs from Postgres",
            "raise it, or lower engine.batch_bytes_max",
        )  # fmt: skip
    made_for = len(seen.partitions)
    if made_for and made_for != settings.kafka.partitions:
        yield Finding(
            "settings", "problem", "kafka.partitions",
            f"is {settings.kafka.partitions}, and the schema was made for {made_for}: keys would move",
            f"set it to {made_for} in every process",
        )  # fmt: skip
    if not settings.security.token_secrets:
        asking = sorted({graph.name for graph in seen.graphs if uses_tokens(graph.definition)})
        if asking:
            yield Finding(
                "settings", "problem", "security.token_secrets",
                f"is empty, and tokens are needed by workflow {', '.join(asking)}",
                "set it to the same secret in every process: `openssl rand -base64 48` makes one",
            )  # fmt: skip
    for note in seen.notes:
        setting, _, text = note.partition(": ")
        yield Finding(
            "settings", "warning", setting, text, "`stream-durable config show --origin` shows where"
        )


def _schema(seen: Seen) -> Iterator[Finding]:
    if seen.missing:
        yield Finding(
            "schema", "problem", f"schema {seen.settings.postgres.db_schema}",
            f"lacks {some(seen.missing)}",
            "`stream-durable db migrate`", "migrate",
        )  # fmt: skip


def _topics(seen: Seen) -> Iterator[Finding]:
    for step in seen.topics:
        match step.action:
            case "ok":
                continue
            case "create":
                yield Finding(
                    "topics", "problem", step.topic, "is missing", "`stream-durable topics apply`",
                    "apply_topics",
                )  # fmt: skip
            case "change":
                yield Finding(
                    "topics", "warning", step.topic, step.detail, "`stream-durable topics apply`",
                    "apply_topics",
                )  # fmt: skip
            case "warning":
                remedy = "the administrator of the brokers can change it"
                yield Finding("topics", "warning", step.topic, step.detail, remedy)
            case "refuse":
                remedy = (
                    "nothing of ours changes that: correct the setting, or move to new topics by `prefix`"
                )
                yield Finding("topics", "problem", step.topic, step.detail, remedy)
            case _:
                assert_never(step.action)


def _clocks(seen: Seen) -> Iterator[Finding]:
    remedy = "let the machines take their time from the same servers (NTP)"
    if seen.ahead is not None and abs(seen.ahead) > SKEW_MS:
        way = "ahead of" if seen.ahead > 0 else "behind"
        cause = f"is {length(abs(seen.ahead))} {way} the clock of this machine"
        yield Finding("clocks", "warning", "clock of Postgres", cause, remedy)
    latest = max((one.log_clock for one in seen.standings), default=0)
    if latest - seen.now > SKEW_MS:
        cause = f"has reached {length(latest - seen.now)} into the future: a broker's clock is, or was, ahead"
        yield Finding("clocks", "warning", "time of the log", cause, remedy)


def _partitions(seen: Seen) -> Iterator[Finding]:
    lost: list[int] = []
    for state, read in seen.partitions:
        name = f"partition {state.partition}"
        trouble = trouble_of(state, read, seen.now)
        if isinstance(trouble, LogLost):
            remedy = "find out what happened to its log; `engine.on_lost_log` decides how to go on"
            yield Finding("partitions", "problem", name, f"stands still: {trouble.problem}", remedy)
        elif isinstance(trouble, NoOwner):
            lost.append(state.partition)
        if state.stalls >= seen.settings.engine.stall_takeovers_max:
            cause = f"was taken over {state.stalls} times without progress: a record ends its reconciler"
            remedy = f"see the log of {state.owner or 'the reconcilers'}; `stream-durable partitions bury`"
            yield Finding("partitions", "problem", name, cause, remedy)
    if lost:
        which = "all partitions" if len(lost) == len(seen.partitions) else numbered("partition", lost)
        have = "have" if len(lost) > 1 else "has"
        cause = f"{have} no owner, so no run there moves"
        yield Finding(
            "partitions", "problem", which, cause, "start a reconciler: `stream-durable reconciler`"
        )


def _lag(seen: Seen) -> Iterator[Finding]:
    for state, read in seen.partitions:
        trouble = trouble_of(state, read, seen.now)
        if isinstance(trouble, Behind):
            since = "" if read is None or read.oldest is None else f" for {length(seen.now - read.oldest)}"
            cause = f"stands at offset {state.next_offset}, {counted(trouble.records, 'record')} wait{since}"
            remedy = (
                f"the log of {trouble.owner} and its /readyz give the reason; `stream-durable partitions "
                "bury` sets a blocking record aside; for mere load, start another reconciler"
            )
            yield Finding("lag", "problem", f"partition {state.partition}", cause, remedy)
    if seen.ingress is None or not seen.ingress.left.records:
        return
    records = counted(seen.ingress.left.records, "record")
    if not seen.ingress.members:
        remedy = "start one: `stream-durable ingress`"
        yield Finding("lag", "problem", "events topic", f"has {records} and no ingress", remedy)
    elif _has_stood(seen, seen.ingress):
        remedy = "see its log, or start another: `stream-durable ingress`"
        yield Finding("lag", "problem", "events topic", f"its ingress is {records} behind", remedy)


def _versions(seen: Seen) -> Iterator[Finding]:
    newer = [one.partition for one in seen.standings if one.format > FORMAT]
    if newer:
        cause = f"go on in a newer format than {FORMAT}, the newest of this release"
        remedy = "replace this release by the newer one, everywhere"
        yield Finding("versions", "problem", numbered("partition", newer), cause, remedy)
    old = sorted({one.owner for one in seen.standings if one.owner and one.owner_format < FORMAT})
    if old:
        remedy = "replace them; then `stream-durable partitions raise`"
        yield Finding("versions", "warning", ", ".join(old), "is of an older release than this one", remedy)
    behind = [one.partition for one in seen.standings if one.format < FORMAT]
    if behind and not old:
        cause = f"go on in an older format than {FORMAT}: an upgrade was not finished"
        remedy = "`stream-durable partitions raise`, once no older release is left"
        yield Finding("versions", "warning", numbered("partition", behind), cause, remedy)
    if len(releases := _releases(seen)) > 1:
        cause = f"are {len(releases)}: {'; '.join(f'{one} by {some(by)}' for one, by in releases.items())}"
        remedy = "finish the deployment, or go back; `stream-durable processes list` shows the rest"
        yield Finding("versions", "warning", "releases at work", cause, remedy)
    for workflow, carriers in sorted(_carried(seen).items()):
        if len(carriers) > 1:
            shown = "; ".join(
                f"{fingerprint[:12]} by {', '.join(names)}" for fingerprint, names in sorted(carriers.items())
            )
            cause = f"is carried in {len(carriers)} versions: {shown}"
            remedy = "finish the deployment, or go back; `stream-durable workflows diff APP` compares"
            yield Finding("versions", "warning", f"workflow {workflow}", cause, remedy)


def _queues(seen: Seen) -> Iterator[Finding]:
    needed = Counter[str]()
    present = [one for one in seen.workers or () if not one.is_gone(seen.now)]
    graphs = {graph.fingerprint: graph for graph in seen.graphs}
    for version in seen.live:
        if (graph := graphs.get(version.fingerprint)) is not None:
            for queue in queues_of(graph.definition):
                needed[queue] += version.runs
    for queue in sorted(needed.keys() | seen.queues.keys()):
        readers = seen.queues.get(queue)
        backlog = 0 if readers is None else readers.left.records
        is_served = bool(readers and readers.members) or any(one.load(queue) for one in present)
        if is_served or not (backlog or needed[queue]) or seen.workers is None:
            continue
        waiting = [counted(backlog, "command")] if backlog else []
        waiting += [counted(needed[queue], "open run")] if needed[queue] else []
        lost = max((one for one in seen.workers if one.load(queue)), key=lambda one: one.seen, default=None)
        need = f"it is needed: {', '.join(waiting)}"
        concern = unserved(queue, readers, need, "" if lost is None else lost.name)
        thing, _, cause = concern.what.partition(": ")
        yield Finding("queues", "problem", thing, cause, concern.remedy)
    for queue, paused in sorted(seen.paused.items()):
        pause = paused.pause
        cause = f"is paused for {length(seen.now - pause.at)}{named(pause.by, pause.reason)}"
        remedy = f"`stream-durable queues resume {queue}`"
        yield Finding("queues", "warning", f"queue {queue}", cause, remedy)


def _workflows(seen: Seen) -> Iterator[Finding]:
    carried, known = _carried(seen), {graph.fingerprint for graph in seen.graphs}
    for version in seen.live:
        name = f"workflow {version.workflow} {version.fingerprint[:12]}"
        runs = counted(version.runs, "open run")
        if version.fingerprint not in known:
            cause = f"has {runs}, and its definition is not on the definitions topic"
            remedy = (
                "is `prefix` that of this instance? Otherwise register it: start a worker of that version"
            )
            yield Finding("workflows", "problem", name, cause, remedy)
        elif carried and version.workflow not in carried:
            cause = f"has {runs}, and no worker carries the workflow"
            remedy = "start a worker of its app: `stream-durable worker APP`"
            yield Finding("workflows", "problem", name, cause, remedy)


def _waits(seen: Seen) -> Iterator[Finding]:
    for stray in seen.strays:
        channel, run, step = stray.wait
        thing = f"run {run}, step {step}"
        match stray.kind:
            case "missed_event":
                cause = f"waits on {channel}, which keeps an event for it"
                yield Finding("waits", "problem", thing, cause, stray.remedy, "reopen_waits")
            case "unknown_wait":
                cause = f"waits on {channel}, which knows nothing of it: no event reaches it"
                yield Finding("waits", "problem", thing, cause, stray.remedy, "reopen_waits")
            case "unwanted_wait":
                continue  # an event to it is noted as late, which is harmless
            case _:
                assert_never(stray.kind)


def _timers(seen: Seen) -> Iterator[Finding]:
    by_partition = defaultdict[int, list[TimerRow]](list)
    for timer in seen.overdue:
        by_partition[timer.partition].append(timer)
    for partition, timers in sorted(by_partition.items()):
        first = timers[0]
        of = f"{first.kind} {first.key}{f', {first.name}' if first.name else ''}"
        late = length(seen.now - (first.due or seen.now))
        more = "or more " if len(seen.overdue) >= ROWS_MAX else ""
        cause = (
            f"{counted(len(timers), 'timer')} {more}should have fired (leases, time-outs, retries, waits), "
            f"the first {late} ago, of {of}"
        )
        remedy = "a reconciler fires them: start one, or see the log of the owner of the partition"
        yield Finding("timers", "problem", f"partition {partition}", cause, remedy)


def _compensations(seen: Seen) -> Iterator[Finding]:
    if seen.not_undone:
        remedy = (
            "`stream-durable runs show RUN` names the failed compensation; then `stream-durable runs retry "
            "RUN --step STEP~compensate`, or `runs skip` to accept it"
        )
        cause = "ended with a compensation that failed: what was done is not undone"
        yield Finding("compensations", "problem", runs_named(seen.not_undone), cause, remedy)
    if seen.undoing:
        cause = f"is being undone, and has not changed for more than {length(UNDOING_MS)}"
        yield Finding(
            "compensations", "warning", runs_named(seen.undoing), cause, "`stream-durable why RUN` says why"
        )


def _schedules(seen: Seen) -> Iterator[Finding]:
    for one in seen.schedules:
        name = f"schedule {one.name}"
        resume = f"`stream-durable schedules resume {one.name}`"
        if not one.is_on and one.off_cause == "failures":
            cause = f"was switched off after {counted(one.failures, 'failure')} in a row"
            remedy = f"`stream-durable schedules show {one.name}` shows them; then {resume}"
            yield Finding("schedules", "problem", name, cause, remedy)
        elif not one.is_on and one.off_cause == "person":
            cause = f"was switched off{named(one.off_by, one.reason)}"
            yield Finding("schedules", "warning", name, cause, resume)
        if one.undeclared is not None:
            cause = f"fires on, though app {one.app} declares it no longer"
            remedy = f"`stream-durable schedules delete {one.name}`, unless it is wanted"
            yield Finding("schedules", "warning", name, cause, remedy)


def _bindings(seen: Seen) -> Iterator[Finding]:
    for one in seen.bindings:
        name = f"binding {one.name}"
        if not one.is_on:
            cause = f"was paused{named(one.off_by, one.reason)}: records of topic {one.topic} wait"
            remedy = f"`stream-durable bindings resume {shlex.quote(one.name)}`"
            yield Finding("bindings", "warning", name, cause, remedy)
        elif one.trouble:
            cause, _, remedy = one.trouble.partition(": ")
            yield Finding("bindings", "problem", name, f"reads nothing: {cause}", remedy)
        for part in one.partitions if one.is_on else ():
            if part.stopped:
                cause = f"has stopped in partition {part.partition} at offset {part.position}: {part.stopped}"
                remedy = skipping_remedy(one.name, part.partition, part.position)
                yield Finding("bindings", "problem", name, cause, remedy)
        if one.is_undeclared:
            cause = f"reads on, though app {one.app} declares it no longer"
            remedy = f"`stream-durable bindings delete {shlex.quote(one.name)}`, unless it is wanted"
            yield Finding("bindings", "warning", name, cause, remedy)


def _records(seen: Seen) -> Iterator[Finding]:
    for hole in seen.left_out.holes:
        where = f"offset {hole.first}" if hole.records == 1 else f"offsets {hole.first} to {hole.last}"
        cause = (
            f"went on without {counted(hole.records, 'record')} of its log, at {where}: their effect is lost"
        )
        remedy = (
            "nothing folds them later by itself: `stream-durable replay rebuild --into SCHEMA` makes a state "
            "that has them, if the log still has its beginning; report it with the log of the reconcilers"
        )
        yield Finding("records", "problem", f"partition {hole.partition}", cause, remedy)
    if seen.left_out.has_more:
        cause = "more stretches of evidence have missing offsets than were looked at"
        remedy = "look again when those above are settled, or compare all with `stream-durable replay verify`"
        yield Finding("records", "warning", "evidence", cause, remedy)
    if seen.dead:
        cause = f"{counted(seen.dead, 'record')} of the last day could not be applied"
        topic = full_name(seen.settings.prefix, DEAD)
        remedy = (
            f"`stream-durable records list` shows them, each with the reason; they are on the topic {topic}"
        )
        yield Finding("records", "warning", "inbox", cause, remedy)


CHECKS: Final[Mapping[CheckName, Callable[[Seen], Iterator[Finding]]]] = {
    "services": _services, "settings": _settings, "schema": _schema, "topics": _topics, "clocks": _clocks,
    "partitions": _partitions, "lag": _lag, "versions": _versions, "queues": _queues,
    "workflows": _workflows, "waits": _waits, "timers": _timers, "compensations": _compensations,
    "schedules": _schedules, "bindings": _bindings, "records": _records,
}  # fmt: skip


def _carried(seen: Seen) -> dict[str, dict[str, list[str]]]:
    """Return the names of present workers by workflow and fingerprint."""
    found: dict[str, dict[str, list[str]]] = {}
    for one in sorted(seen.workers or (), key=lambda worker: worker.name):
        if not one.is_gone(seen.now):
            for workflow, fingerprint in one.here.carries:
                found.setdefault(workflow, {}).setdefault(fingerprint, []).append(one.name)
    return found


def _releases(seen: Seen) -> dict[str, list[str]]:
    """Return the names of present processes by release."""
    found: dict[str, list[str]] = {}
    for one in seen.processes:
        if one.here.version and not one.is_gone(seen.now):
            found.setdefault(one.here.version, []).append(f"{one.kind} {one.name}")
    return dict(sorted(found.items()))


def _has_stood(seen: Seen, readers: Readers) -> bool:
    return readers.left.since is not None and seen.now - readers.left.since > STANDS_MS
