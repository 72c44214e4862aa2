"""`make api-fuzz`, and in short `make test`: every operation of the API, asked with drawn values.

None may answer 5xx.

Schemathesis runs in an environment of its own, since it takes an older jsonschema-rs than the package does,
and asks a deployment in memory with a few runs. The answers are counted here, so that the time limit loses
nothing.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

# The page's site is served as a browser, or any program, asks it.
sys.path.insert(0, str(Path(__file__).parents[1] / "page"))

import httpx
from page_site import Site, served

from stream_durable.api.app import document
from stream_durable.testing.engine import Engine

#: A stream does not end; `tests/api/test_api_live.py` asks it.
ENDLESS = "/api/v1/live"


class Counted(Site):
    """A site with a memory of its answers."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.answers: Counter[int] = Counter()
        self.broken: list[str] = []
        #: Operations that were not asked yet, by method and pattern of the path.
        self.unasked = {
            (method.upper(), re.sub(r"\{\w+\}", "[^/]+", path)): f"{method.upper()} {path}"
            for path, methods in document(self.app)["paths"].items()
            for method in methods
            if path != ENDLESS
        }

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        found = super().answer(method, path, headers, body)
        self.answers[found.status_code] += 1
        asked = path.partition("?")[0]
        for operation in [one for one in self.unasked if one[0] == method and re.fullmatch(one[1], asked)]:
            del self.unasked[operation]
        if found.status_code >= 500:
            self.broken.append(f"{found.status_code} {method} {path} {body[:500]!r}: {found.text[:500]}")
        return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m api_fuzz", description=__doc__)
    parser.add_argument("schemathesis", type=Path, help="the command")
    parser.add_argument("--examples", type=int, default=5, help="drawn requests to each operation")
    parser.add_argument("--phases", default="examples,coverage,fuzzing", help="those of Schemathesis")
    parser.add_argument("--seconds", type=int, default=110, help="time limit")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with Engine.memory() as engine:
        site = Counted(engine)
        site.seed()
        with served(site) as address:
            began = time.monotonic()
            asking = subprocess.Popen([
                given.schemathesis, "run", f"{address}api/v1/openapi.json", "--checks", "not_a_server_error",
                "--phases", given.phases, "--max-examples", str(given.examples),
                "--exclude-path", ENDLESS, "--seed", str(given.seed), "--request-timeout", "20", "--no-color",
            ], stdout=subprocess.DEVNULL)  # fmt: skip
            try:
                code = asking.wait(given.seconds)
            except subprocess.TimeoutExpired:
                code = None
                asking.kill()
                asking.wait()
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(site.answers.items()))
    print(f"seed {given.seed}, {time.monotonic() - began:.0f} s: {answers}")
    for line in dict.fromkeys(site.broken):
        print(line)
    for operation in site.unasked.values():
        print(f"not asked: {operation}")
    # Schemathesis ends with 1 for what it finds, and with others where it could not work.
    is_done = code in (0, 1, None) and not site.unasked
    return bool(site.broken) or not is_done


if __name__ == "__main__":
    sys.exit(main())
