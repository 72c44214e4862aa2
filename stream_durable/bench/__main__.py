"""`python -m stream_durable.bench chain single --repeat 1 --json`."""

import argparse
import sys
from pathlib import Path

from stream_durable.bench import main


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stream_durable.bench", description=__doc__)
    parser.add_argument("workloads", nargs="+", metavar="WORKLOAD", help="or `all`")
    parser.add_argument("--json", action="store_true", help="one line of JSON per workload")
    parser.add_argument("--repeat", type=int, default=3, help="samples per workload; medians are shown")
    parser.add_argument("--n", type=int, help="size of each workload, in place of its own")
    parser.add_argument("--prototype", type=Path, metavar="DIR", help="measure this one in turn with us")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(**vars(_parse(sys.argv[1:]))))
