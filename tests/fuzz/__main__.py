"""`make fuzz RECORDS=1000000 SEED=7`: a broker, a server, and a campaign of that size on each topic."""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
from pathlib import Path

from kill.scene import Ground

from fuzz.campaign import Broken, Campaign, Plan
from fuzz.corpus import TOPICS
from fuzz.mutations import BYTES_MAX
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres


def main() -> int:
    plan, home = _arguments()
    print(
        f"seed {plan.seed}, {plan.records:,} records on each of {', '.join(plan.topics)}; files in {home}",
        flush=True,
    )
    with LocalKafka(home / "kafka") as kafka, LocalPostgres(home / "postgres") as postgres:
        campaign = Campaign(Ground(home, kafka, postgres), plan, lambda line: print(f"  {line}", flush=True))
        try:
            asyncio.run(campaign.run())
            verdict = "held"
        except Broken as broken:
            print(broken)
            print("\n".join(campaign.complaints()))
            verdict = "broken"
    print(json.dumps({"verdict": verdict, **vars(campaign.report)}))
    return verdict != "held"


def _arguments() -> tuple[Plan, Path]:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    parser.add_argument("--records", type=int, default=10_000, help="on each topic")
    parser.add_argument("--first", type=int, default=0, help="the number of the first record")
    parser.add_argument("--wave", type=int, default=0, help="records on each topic between two looks")
    parser.add_argument("--bound", type=float, default=30.0, help="seconds in which a run has to complete")
    parser.add_argument("--largest", type=int, default=BYTES_MAX, help="bytes of the largest record")
    parser.add_argument("--topics", nargs="+", choices=TOPICS, default=TOPICS)
    given = parser.parse_args()
    wave = given.wave or min(5_000, max(500, given.records // 100))
    plan = Plan(given.seed, tuple(given.topics), given.records, wave, given.first, given.bound, given.largest)
    return plan, Path(tempfile.mkdtemp(prefix="stream-durable-fuzz-"))


if __name__ == "__main__":
    sys.exit(main())
