"""`make chaos MINUTES=60 SEED=7`: a broker, a server, and everything that can go wrong at once."""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
from pathlib import Path

from kill.scene import Ground

from chaos.trial import Setting, Trial
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres


def main() -> int:
    setting = _arguments()
    home = Path(tempfile.mkdtemp(prefix="stream-durable-chaos-"))
    print(f"seed {setting.seed}, {setting.seconds / 60:.1f} minutes; files in {home}", flush=True)
    kafka, postgres = LocalKafka(home / "kafka"), LocalPostgres(home / "postgres")
    try:
        kafka.start()
        postgres.start()
        trial = Trial(Ground(home, kafka, postgres), setting, lambda line: print(f"  {line}", flush=True))
        verdict = asyncio.run(trial.run())
    finally:
        kafka.stop()
        postgres.stop()
    print("\n".join(verdict.lines()))
    wrong = {kind: len(found) for kind, found in verdict.wrong.items()}
    result = "held" if verdict.holds else "broken"
    print(json.dumps({"verdict": result, "wrong": wrong, **verdict.figures}))
    return not verdict.holds


def _arguments() -> Setting:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=15.0, help="runs that are started in a second")
    parser.add_argument("--reconcilers", type=int, default=2)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="names of faults, as in chaos.faults")
    parser.add_argument("--harmless", action="store_true", help="without steps that end or block workers")
    given = parser.parse_args()
    return Setting(
        given.seed,
        given.minutes * 60,
        given.rate,
        given.reconcilers,
        given.workers,
        frozenset(given.only),
        not given.harmless,
    )


if __name__ == "__main__":
    sys.exit(main())
