"""`python -m stream_durable.simulation`: simulate seeds and report broken invariants."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter

from stream_durable.simulation.trial import simulate
from stream_durable.simulation.workload import CLASSES

#: Allocations between two collections of garbage; of the objects of worlds, few are in cycles.
_GC_THRESHOLD = 20_000


def main(arguments: list[str] | None = None) -> int:
    """Try the requested seeds; the exit code tells whether any broke an invariant."""
    parser = argparse.ArgumentParser(prog="python -m stream_durable.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to try")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="try this one alone")
    parser.add_argument("--stop", action="store_true", help="stop at the first that breaks")
    parser.add_argument(
        "--only", action="append", default=[], choices=("each", *CLASSES), metavar="CLASS",
        help=f"nothing but one class of interleavings, or `each` by itself: {', '.join(CLASSES)}",
    )  # fmt: skip
    asked = parser.parse_args(arguments)
    seeds = range(asked.first, asked.first + asked.seeds) if asked.seed is None else [asked.seed]
    kinds = list(CLASSES) if "each" in asked.only else asked.only
    return max(_soak(seeds, kind, stops=asked.stop) for kind in kinds or [""])


def _soak(seeds: range | list[int], kind: str, *, stops: bool) -> int:
    began = time.monotonic()
    hits: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    broken: list[int] = []
    virtual = 0.0
    for tried, seed in enumerate(seeds, 1):
        trial = simulate(seed, kind=kind)
        if tried == 1:
            # Modules and definitions stay; collections need not look at them again.
            gc.freeze()
            gc.set_threshold(_GC_THRESHOLD)
        hits += trial.hits
        runs += trial.runs
        outcomes += trial.outcomes
        virtual += trial.virtual_seconds
        if trial.violations:
            broken.append(seed)
            print(f"\r{trial.report()}", flush=True)
            if stops:
                break
        if sys.stderr.isatty() or tried % 100 == 0:
            rate = tried / (time.monotonic() - began)
            print(f"\r{tried} of {len(seeds)} seeds, {rate:.1f} a second, {len(broken)} broken", end="",
                  file=sys.stderr, flush=True)  # fmt: skip
    print(file=sys.stderr)
    named = f"{kind}: " if kind else ""
    print(f"{named}{virtual:,.0f} virtual seconds; runs: {dict(sorted(runs.items()))}")
    # Of a class it is to be seen whether it has come about; of everything that would be a long list.
    for found in (hits, outcomes if kind else Counter[str]()):
        for what, count in sorted(found.items()):
            print(f"  {count:7} {what}")
    if broken:
        print(f"{len(broken)} seeds broke something: {' '.join(map(str, broken[:50]))}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
