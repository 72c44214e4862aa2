"""Measures the HTTP API: its start, lists, a large run, live changes, and the cost of watchers."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlsplit

import psutil
from msgspec import Raw

from stream_durable.bench.errors import BenchError
from stream_durable.bench.instance import Instance, logged, spawn
from stream_durable.bench.load import PATIENCE_SECONDS
from stream_durable.bench.report import Percentiles, Sample
from stream_durable.bench.work import all_at_once, clone_runs, let_wait, new_runs
from stream_durable.bench.workloads import EACH_MANY, WORKLOADS
from stream_durable.local.process import wait_for
from stream_durable.telemetry import API_OPENED

WATCHERS: Final = 1_000
_CHAIN_RUNS: Final = 2_000
#: One pair says little: two samples of the same work differ by a tenth.
PAIRS: Final = 5
_LIVE_RUNS: Final = 90
_LISTS: Final = 200
_RUN_READS: Final = 5
_LIST: Final = "/api/v1/runs?workflow=patient&status=completed&limit=50&sort="
#: The newest, and those that took longest; asked for in turn.
_SORTS: Final = ("-created", "-duration")
#: Of so many runs of the list one waits.
_WAITING_EVERY: Final = 100


def measure_api(made: Instance, n: int) -> Sample:
    """Measure a chain with watchers against one without, then all else on an instance with `n` runs."""
    made.start()
    begin = time.perf_counter()
    address = served(made)
    figures = {"start_s": time.perf_counter() - begin}
    figures["idle_mb"] = psutil.Process(made.processes["api"].pid).memory_info().rss / 1_000_000
    base, watched = _with_and_without_watchers(made.another(WORKLOADS["chain"]), address, min(n, _CHAIN_RUNS))
    figures |= _live(made.another(WORKLOADS["latency"]), address)
    figures["run_ms"] = _large_run(made.another(WORKLOADS["each"]), address, min(n, EACH_MANY))
    figures |= _lists(made.another(WORKLOADS["million"]), n)
    return replace(watched, base=base, api={name: round(value, 2) for name, value in figures.items()})


def served(made: Instance) -> str:
    """Start an API; return host and port, once open."""
    before = len(logged(API_OPENED, "api", made.home))
    made.processes["api"] = spawn("api", made.home)

    def is_open() -> bool:
        made.check()
        return len(logged(API_OPENED, "api", made.home)) > before

    wait_for(is_open, seconds=PATIENCE_SECONDS, what="the API")
    address: str = logged(API_OPENED, "api", made.home)[-1]["address"]
    return urlsplit(address).netloc


def _with_and_without_watchers(made: Instance, address: str, n: int) -> tuple[Sample, Sample]:
    """Measure runs without and with watchers in turn; of the pairs, the one in the middle is returned."""
    pairs = [(all_at_once(made, n), _watched(made, address, new_runs(n))) for _ in range(PAIRS)]
    return sorted(pairs, key=lambda pair: pair[1].steps_per_s / pair[0].steps_per_s)[PAIRS // 2]


def _watched(made: Instance, address: str, runs: Sequence[str]) -> Sample:
    """Measure runs, of which half of the watchers see one each; the others see the overview."""
    queries = ["overview=true" if i % 2 else f"run={runs[i // 2 % len(runs)]}" for i in range(WATCHERS)]

    def work() -> None:
        made.begin(runs)
        made.completed.wait(runs, made.check)

    with _streams(address, queries):
        return made.measure(runs, work)


def _live(made: Instance, address: str) -> dict[str, float]:
    """Return how much later than the public event a watcher sees the end of a run, in milliseconds."""
    runs, public = new_runs(_LIVE_RUNS), {}
    seen: dict[str, float] = {}

    def note(line: bytes) -> None:
        if line.startswith(b'data: {"type":"run.completed"'):
            seen[json.loads(line[6:])["run"]] = time.perf_counter()

    with _streams(address, ["&".join(f"run={run}" for run in runs)], note):
        for run in runs:
            made.load.start(made.workload.workflow, made.workload.fingerprint, run)
            made.completed.wait_one(run, made.check)
            public[run] = time.perf_counter()
        wait_for(lambda: len(seen) == len(runs), seconds=PATIENCE_SECONDS, what="the last live change")
    late = Percentiles.of([1_000 * (seen[run] - public[run]) for run in runs])
    return {"live_p50_ms": late.p50, "live_p99_ms": late.p99}


def _large_run(made: Instance, address: str, items: int) -> float:
    """Return the milliseconds of an answer with a run of so many steps."""
    [run] = new_runs(1)
    made.begin([run], Raw(b'{"items":%d}' % items))
    made.completed.wait([run], made.check)
    return Percentiles.of(_asked(address, [f"/api/v1/runs/{run}"] * _RUN_READS)).p50


def _lists(made: Instance, n: int) -> dict[str, float]:
    """Return the milliseconds of a list's first page with two filters and a sort, of so many runs."""
    fill_list(made, n)
    found = Percentiles.of(_asked(served(made), [_LIST + _SORTS[i % len(_SORTS)] for i in range(_LISTS)]))
    return {"list_p50_ms": found.p50, "list_p99_ms": found.p99}


def fill_list(made: Instance, n: int) -> None:
    """Let there be so many runs more, of `million`, most of them completed, and stop all that folds."""
    [model] = new_runs(1)
    let_wait(made, [model])
    made.stop()
    asyncio.run(clone_runs(made, model, new_runs(n), waiting_every=_WAITING_EVERY))


def _asked(address: str, paths: Iterable[str]) -> list[float]:
    """Return the milliseconds of each request, after a first one beyond the count."""
    taken = []
    with closing(http.client.HTTPConnection(address, timeout=PATIENCE_SECONDS)) as connection:
        for path in paths:
            begin = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            taken.append(1_000 * (time.perf_counter() - begin))
            if answer.status != 200:
                raise BenchError(f"GET {path} was answered with {answer.status}: {body[:200]!r}")
    return taken[1:]


class _Stream(asyncio.Protocol):
    """A stream of live changes, read as cheaply as can be: it is split into lines only for a `note`."""

    def __init__(
        self, request: bytes, opened: Callable[[], object], note: Callable[[bytes], None] | None
    ) -> None:
        self._request = request
        self._opened = opened
        self._note = note
        self._is_open = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._is_open and self._note is None:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line == b"event: hello":
                self._is_open = True
                self._opened()
            if self._note is not None:
                self._note(line)


@contextmanager
def _streams(
    address: str, queries: Sequence[str], note: Callable[[bytes], None] | None = None
) -> Iterator[None]:
    """Keep a stream open for each query, by a thread; each line is passed to `note`."""
    open_now = threading.Semaphore(0)
    loop = asyncio.new_event_loop()
    host, port = address.rsplit(":", 1)

    def made(query: str) -> Callable[[], _Stream]:
        target = f"/api/v1/live?{quote(query, safe='=&')}"
        request = f"GET {target} HTTP/1.1\r\nhost: {address}\r\n\r\n".encode()
        return lambda: _Stream(request, open_now.release, note)

    async def follow() -> None:
        connections = [(await loop.create_connection(made(query), host, int(port)))[0] for query in queries]
        try:
            await asyncio.Event().wait()
        finally:
            for transport in connections:
                transport.abort()

    def run() -> None:
        with suppress(asyncio.CancelledError), closing(loop):
            loop.run_until_complete(following)

    following = loop.create_task(follow())
    thread = threading.Thread(target=run, name="watchers", daemon=True)
    thread.start()
    try:
        for number in range(len(queries)):
            if not open_now.acquire(timeout=PATIENCE_SECONDS):
                raise BenchError(f"{number} of {len(queries)} streams are open: see the log of the API")
        yield
    finally:
        with suppress(RuntimeError):
            # It is closed where the connection was refused.
            loop.call_soon_threadsafe(following.cancel)
        thread.join(PATIENCE_SECONDS)
