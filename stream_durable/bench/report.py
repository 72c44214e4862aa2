"""Figures from samples, and their presentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from rich.table import Table

from stream_durable.bench.counts import Counts

#: Processes counted as the cost of a step; the load is shown beside, as no part of the product.
COUNTED: Final = ("kafka", "postgres", "reconciler", "worker", "ingress")
PARTS: Final = (*COUNTED, "load")


class Percentiles(NamedTuple):
    """Milliseconds from the start of a run to the event of completion."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Percentiles:
        """Compute from measured times, without interpolation."""
        ordered = sorted(milliseconds)
        return cls(*(ordered[int(len(ordered) * part)] for part in (0.50, 0.95, 0.99)))


@dataclass(frozen=True, slots=True)
class Sample:
    """A measurement of a workload."""

    runs: int
    steps: int
    #: Records of the inbox.
    records: int
    seconds: float
    cpu_s: Mapping[str, float]
    peak_mb: Mapping[str, float]
    latency: Percentiles | None = None
    counts: Counts | None = None
    #: Of each partition taken over by another reconciler.
    takeovers_ms: Sequence[float] = ()
    #: Figures of the HTTP API, by name.
    api: Mapping[str, float] | None = None
    #: Figures of the page in a browser, by name.
    page: Mapping[str, float] | None = None
    #: The base of comparison: the same work in small portions, or without the measured part.
    base: Sample | None = None
    #: Whether it is about a span of time, and not about work that was given.
    is_of_time: bool = False

    @property
    def runs_per_s(self) -> float:
        """Completed runs per second."""
        return self.runs / self.seconds

    @property
    def steps_per_s(self) -> float:
        """Steps called per second."""
        return self.steps / self.seconds

    @property
    def cpu_ms_per_step(self) -> float:
        """CPU of all measured processes per step; 0 without steps."""
        return 1_000 * sum(self.cpu_s[part] for part in COUNTED) / self.steps if self.steps else 0.0


class Range(msgspec.Struct, frozen=True):
    """How far the samples lay apart."""

    min: float
    max: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a workload: medians over samples."""

    workload: str
    n: int
    runs_per_s: float
    steps_per_s: float
    records_per_s: float
    cpu_ms_per_step: float
    cpu_s: dict[str, float]
    peak_mb: dict[str, float]
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    spread: dict[str, Range]
    #: Per step.
    counts: Counts | None


class Row(Figures, frozen=True, kw_only=True):
    """The figures, beside the prototype's if any."""

    prototype: Figures | UnsetType = UNSET
    #: Milliseconds of a partition's takeover.
    takeover_ms: Range | UnsetType = UNSET
    #: Medians of the figures of the HTTP API.
    api: dict[str, float] | UnsetType = UNSET
    #: Medians of the figures of the page.
    page: dict[str, float] | UnsetType = UNSET
    #: CPU of each part in percent of one core, of what is about a span of time.
    core_percent: dict[str, float] | UnsetType = UNSET
    #: Our CPU per step over the prototype's: less is better.
    ratio_cpu: float | UnsetType = UNSET
    #: Our runs per second over the prototype's: more is better.
    ratio_rate: float | UnsetType = UNSET
    #: CPU per step over that of the base.
    ratio_cost: float | UnsetType = UNSET
    #: Steps per second over the base's: more is better.
    ratio_speed: float | UnsetType = UNSET
    #: p50 and p99 over those of the base.
    ratio_p50: float | UnsetType = UNSET
    ratio_p99: float | UnsetType = UNSET


def row(workload: str, n: int, ours: Sequence[Sample], prototype: Sequence[Sample] = ()) -> Row:
    """Summarise the samples of a workload."""
    mine = msgspec.structs.asdict(_figures(workload, n, ours)) | _against_base(ours)
    if taken := [ms for one in ours for ms in one.takeovers_ms]:
        mine["takeover_ms"] = Range(min(taken), max(taken))
    for which, measured in (("api", [one.api for one in ours]), ("page", [one.page for one in ours])):
        if found := [one for one in measured if one]:
            mine[which] = {name: round(median(one[name] for one in found), 2) for name in found[0]}
    if any(one.is_of_time for one in ours):
        mine["core_percent"] = {
            part: round(median(100 * one.cpu_s[part] / one.seconds for one in ours), 2) for part in PARTS
        }
    if not prototype:
        return Row(**mine)
    theirs = _figures(workload, n, prototype)
    return Row(
        **mine,
        prototype=theirs,
        ratio_cpu=round(mine["cpu_ms_per_step"] / theirs.cpu_ms_per_step, 2),
        ratio_rate=round(mine["runs_per_s"] / theirs.runs_per_s, 2),
    )


def _against_base(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the medians of the samples' costs over their bases' costs."""
    pairs = [(one, one.base) for one in samples if one.base is not None]
    if not pairs:
        return {}
    latencies = [(one.latency, base.latency) for one, base in pairs if one.latency and base.latency]
    if latencies:
        return {
            "ratio_p50": round(median(one.p50 / base.p50 for one, base in latencies), 2),
            "ratio_p99": round(median(one.p99 / base.p99 for one, base in latencies), 2),
        }
    return {
        "ratio_cost": round(median(one.cpu_ms_per_step / base.cpu_ms_per_step for one, base in pairs), 2),
        "ratio_speed": round(median(one.steps_per_s / base.steps_per_s for one, base in pairs), 2),
    }


def line(shown: Row) -> str:
    """Return a row as a line of JSON."""
    return msgspec.json.encode(shown).decode()


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return the rows for people, the prototype's below ours."""
    speed = _table("Speed", "runs/s", "from - to", "steps/s", "records/s", "p50 ms", "p95 ms", "p99 ms")
    cpu = _table("CPU in ms per step; `all` leaves out the load", "all", "from - to", *PARTS)
    peak = _table("Peak memory in MB", *PARTS)
    for shown in rows:
        for name, one in _sides(shown):
            head = (name, f"{one.n:,}")
            runs, cost = one.spread["runs_per_s"], one.spread["cpu_ms_per_step"]
            rates = (f"{rate:,.0f}" for rate in (one.steps_per_s, one.records_per_s))
            latency = ("" if ms is None else f"{ms:.2f}" for ms in (one.p50_ms, one.p95_ms, one.p99_ms))
            speed.add_row(
                *head, f"{one.runs_per_s:,.0f}", f"{runs.min:,.0f} - {runs.max:,.0f}", *rates, *latency
            )
            split = (f"{_share(one, part) * one.cpu_ms_per_step:.4f}" for part in PARTS)
            cpu.add_row(*head, f"{one.cpu_ms_per_step:.4f}", f"{cost.min:.4f} - {cost.max:.4f}", *split)
            peak.add_row(*head, *(_megabytes(one.peak_mb[part]) for part in PARTS))
    others = (_counted, _ratios, _bases, _takeovers, _named, _cores)
    return [speed, cpu, peak, *(table for tables_of in others for table in tables_of(rows))]


def _figures(workload: str, n: int, samples: Sequence[Sample]) -> Figures:
    def over(value: Callable[[Sample], float], digits: int) -> float:
        return round(median(map(value, samples)), digits)

    def parts(value: Callable[[Sample], Mapping[str, float]], digits: int) -> dict[str, float]:
        return {part: round(median(value(one)[part] for one in samples), digits) for part in PARTS}

    def spread(value: Callable[[Sample], float], digits: int) -> Range:
        values = [round(value(one), digits) for one in samples]
        return Range(min(values), max(values))

    latencies = [one.latency for one in samples if one.latency is not None]
    p50, p95, p99 = (
        (round(median(values), 2) for values in zip(*latencies, strict=True))
        if latencies
        else (None, None, None)
    )
    ranges = {
        "cpu_ms_per_step": spread(lambda one: one.cpu_ms_per_step, 4),
        "runs_per_s": spread(lambda one: one.runs_per_s, 1),
    }
    if latencies:
        values = [round(one.p50, 2) for one in latencies]
        ranges["p50_ms"] = Range(min(values), max(values))
    return Figures(
        workload=workload,
        n=n,
        runs_per_s=over(lambda one: one.runs_per_s, 1),
        steps_per_s=over(lambda one: one.steps_per_s, 1),
        records_per_s=over(lambda one: one.records / one.seconds, 1),
        cpu_ms_per_step=over(lambda one: one.cpu_ms_per_step, 4),
        cpu_s=parts(lambda one: one.cpu_s, 3),
        peak_mb=parts(lambda one: one.peak_mb, 1),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        spread=ranges,
        counts=_counts(samples),
    )


def _counts(samples: Sequence[Sample]) -> Counts | None:
    """Return the counts of the middle sample, per step if there are any."""
    found = [one.counts.over(one.steps or 1) for one in samples if one.counts is not None]
    return sorted(found, key=lambda counts: counts.transactions)[len(found) // 2] if found else None


def _counted(rows: Sequence[Row]) -> list[Table]:
    counted = [(shown, counts) for shown in rows if (counts := shown.counts)]
    if not counted:
        return []
    table = _table("Counts per step", "transactions", "rows", "WAL bytes", "records", "bytes", "requests")
    for shown, counts in counted:
        sums = [sum(each.values()) for each in (counts.records, counts.bytes, counts.requests)]
        cells = [counts.transactions, sum(counts.rows.values()), counts.wal_bytes, *sums]
        table.add_row(shown.workload, f"{shown.n:,}", *(f"{count:,.2f}" for count in cells))
    return [table]


def _megabytes(size: float) -> str:
    """Write a size; a part that is not there, or was gone before anybody could look, has none."""
    return f"{size:,.0f}" if size else "-"


def _share(one: Figures, part: str) -> float:
    """Return the CPU of a part as a fraction of all that counts."""
    counted = sum(one.cpu_s[each] for each in COUNTED)
    return one.cpu_s[part] / counted if counted else 0.0


def _sides(shown: Row) -> list[tuple[str, Figures]]:
    sides: list[tuple[str, Figures]] = [(shown.workload, shown)]
    if shown.prototype is not UNSET:
        sides.append(("  prototype", shown.prototype))
    return sides


def _ratios(rows: Sequence[Row]) -> list[Table]:
    compared = [shown for shown in rows if shown.prototype is not UNSET]
    if not compared:
        return []
    table = _table("Ours over the prototype's", "CPU per step", "runs/s")
    for shown in compared:
        table.add_row(shown.workload, f"{shown.n:,}", f"{shown.ratio_cpu}", f"{shown.ratio_rate}")
    return [table]


def _bases(rows: Sequence[Row]) -> list[Table]:
    compared = [shown for shown in rows if shown.ratio_cost is not UNSET or shown.ratio_p99 is not UNSET]
    if not compared:
        return []
    table = _table("Over the base of comparison", "CPU per step", "steps/s", "p50", "p99")
    for shown in compared:
        found = (shown.ratio_cost, shown.ratio_speed, shown.ratio_p50, shown.ratio_p99)
        ratios = ("" if ratio is UNSET else f"{ratio}" for ratio in found)
        table.add_row(shown.workload, f"{shown.n:,}", *ratios)
    return [table]


def _takeovers(rows: Sequence[Row]) -> list[Table]:
    taken = [(shown, found) for shown in rows if isinstance(found := shown.takeover_ms, Range)]
    if not taken:
        return []
    table = _table("Takeover of a partition in ms", "from - to")
    for shown, found in taken:
        table.add_row(shown.workload, f"{shown.n:,}", f"{found.min:,.0f} - {found.max:,.0f}")
    return [table]


def _named(rows: Sequence[Row]) -> list[Table]:
    """Return the tables of those that have figures of their own, one per line: the API and the page."""
    tables = []
    for shown in rows:
        for title, figures in (("The HTTP API", shown.api), ("The page", shown.page)):
            if isinstance(figures, dict):
                table = _table(title, "figure", "median")
                for name, value in figures.items():
                    table.add_row(shown.workload, f"{shown.n:,}", name, f"{value:,.2f}")
                tables.append(table)
    return tables


def _cores(rows: Sequence[Row]) -> list[Table]:
    timed = [(shown, found) for shown in rows if isinstance(found := shown.core_percent, dict)]
    if not timed:
        return []
    table = _table("CPU in percent of one core", *PARTS)
    for shown, found in timed:
        table.add_row(shown.workload, f"{shown.n:,}", *(f"{found[part]:.2f}" for part in PARTS))
    return [table]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("workload")
    for column in ("n", *columns):
        table.add_column(column, justify="right")
    return table
