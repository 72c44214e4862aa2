"""Measures the cost of a step, on a separate Kafka and Postgres; see docs/performance.md."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def main(
    workloads: Sequence[str],
    json: bool = False,  # noqa: FBT001, FBT002 - the flag of the command line
    repeat: int = 3,
    n: int | None = None,
    prototype: Path | None = None,
) -> int:
    """Measure these workloads, or `all`, and print the figures; return the exit code.

    `n` replaces the size of each workload. `prototype` is a directory with a `run.sh`, measured alternately
    with this package, on the same broker and database.
    """
    # Here, for the worker imports `bench.app` and is to carry nothing that it would not carry otherwise.
    from stream_durable.local.kafka import LocalKafka  # noqa: PLC0415
    from stream_durable.local.postgres import LocalPostgres  # noqa: PLC0415
    from stream_durable.local.process import LocalServiceError  # noqa: PLC0415

    if missing := [what for what in (LocalKafka.available(), LocalPostgres.available()) if what]:
        sys.stderr.write("\n".join(missing) + "\n")
        return 1
    from stream_durable.bench.errors import BenchError, UnknownWorkloadError  # noqa: PLC0415
    from stream_durable.bench.session import measure_all  # noqa: PLC0415
    from stream_durable.core.errors import StreamDurableError  # noqa: PLC0415

    try:
        measure_all(workloads, json=json, repeat=repeat, n=n, prototype=prototype)
    except UnknownWorkloadError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (BenchError, LocalServiceError, StreamDurableError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
