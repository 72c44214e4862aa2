"""Ends with 0 if the service in this container is ready: the health check of docker-compose.yml."""

import os
import sys
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

PORT = os.environ.get("STREAM_DURABLE_HEALTH__PORT", "8080")

try:
    # Without the proxies of the environment: it is this container that is asked.
    with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{PORT}/readyz", timeout=3) as answer:
        sys.stdout.write(answer.read().decode())
except URLError as error:
    reasons = error.read().decode() if hasattr(error, "read") else str(error)
    sys.exit(reasons)
