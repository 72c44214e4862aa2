"""What a process of the API costs before its first request, as counts: times depend on the machine."""

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

#: Loads the API, counts what pydantic builds meanwhile, and says what is there.
CODE = """
import json, re, sys
from pathlib import Path
from pydantic import TypeAdapter
made, init = 0, TypeAdapter.__init__
def counting(self, *args, **options):
    global made
    made += 1
    init(self, *args, **options)
TypeAdapter.__init__ = counting
from stream_durable.api import serving
from stream_durable.api.app import document
from stream_durable.api.sections import include
from stream_durable.settings import Settings
app = serving.create_app(Settings())
before = sorted(sys.modules)
include(app)
found = {
    "before": before, "adapters": made, "modules": sorted(sys.modules),
    "kilobytes": int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]),
}
print(json.dumps(found | {"routes": sum(len(methods) for methods in document(app)["paths"].values())}))
"""
#: What a request may need, or another process.
UNASKED = (
    "stream_durable.bootstrap", "stream_durable.engine.reconciler", "stream_durable.worker.worker",
    "stream_durable.services.doctor.looking", "stream_durable.memory", "stream_durable.testing",
)  # fmt: skip
#: What the first request for a route brings along.
LATER = (
    "stream_durable.api.runs", "stream_durable.client", "stream_durable.explain.explained",
    "stream_durable.sdk.workflow",
    "stream_durable.connecting", "stream_durable.kafka", "confluent_kafka", "fastavro",
)  # fmt: skip


@pytest.fixture(scope="module")
def started() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_routes_build_no_models_of_their_errors(started: dict[str, Any]) -> None:
    assert started["routes"] > 80
    # A result and two or three parameters each; with their errors there were nine.
    assert started["adapters"] <= 4 * started["routes"]


def test_what_no_request_has_asked_for_is_not_loaded(started: dict[str, Any]) -> None:
    early, loaded = set(started["before"]), set(started["modules"])
    assert early.isdisjoint(LATER), sorted(early.intersection(LATER))
    assert len(early) <= 800
    assert loaded.isdisjoint(UNASKED), sorted(loaded.intersection(UNASKED))
    assert len(loaded) <= 1_250


def test_it_takes_less_than_its_bound_of_memory(started: dict[str, Any]) -> None:
    assert started["kilobytes"] <= 100 * 1_024, "120 MB are for everything, with connections and a loop"
