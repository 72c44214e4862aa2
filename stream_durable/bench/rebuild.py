"""`python -m stream_durable.bench.rebuild`: a rebuild as a separate process, printing the cost.

The command `replay rebuild` does the same, but would include start-up in the measurement.
"""

import json
import resource
import sys
import time

import uvloop

from stream_durable import bootstrap
from stream_durable.settings import Settings


async def _rebuild() -> dict[str, float]:
    begin = time.process_time()
    rebuilt = await bootstrap.rebuild(Settings.load(), "rebuilt", to_end=True)
    return {
        "records": rebuilt.records,
        "seconds": rebuilt.seconds,
        "cpu_s": time.process_time() - begin,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024 / 1_000_000,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(_rebuild())) + "\n")
