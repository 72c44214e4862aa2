"""`python -m stream_durable.local prepare`: download the requirements of local services, once."""

import sys
import time

from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres
from stream_durable.local.process import LocalServiceError


def main(arguments: list[str]) -> int:
    """Answer with the exit code; say one sentence, and no traceback, if something is missing."""
    if arguments != ["prepare"]:
        sys.stderr.write("usage: python -m stream_durable.local prepare\n")
        return 2
    missing = [what for what in (LocalKafka.available(), LocalPostgres.available()) if what]
    if missing:
        sys.stderr.write("\n".join(missing) + "\n")
        return 1
    begin = time.monotonic()
    try:
        LocalKafka.prepare(_say)
    except LocalServiceError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _say(f"Local Kafka and Postgres are ready to start ({time.monotonic() - begin:.1f} s)")
    return 0


def _say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
