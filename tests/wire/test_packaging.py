"""The schemas travel with the package: a wheel that is built here reads and writes events on its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import msgspec
import pytest
from fastavro import parse_schema, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form
from wire_events import RUN, STEP

from stream_durable.wire.lifecycle import encode

ROOT = Path(__file__).parents[2]

ROUND_TRIP = """
import sys
sys.path.insert(0, sys.argv[1])
from stream_durable.wire import lifecycle
assert lifecycle.__file__.startswith(sys.argv[1]), lifecycle.__file__
for line in sys.stdin:
    event = lifecycle.decode(bytes.fromhex(line))
    print(lifecycle.encode(event).hex())
"""


def round_trip(where: Path, *values: bytes) -> subprocess.CompletedProcess[str]:
    """Decode and encode again in a process that has the package from there."""
    return subprocess.run(
        [sys.executable, "-I", "-c", ROUND_TRIP, str(where)],
        input="\n".join(value.hex() for value in values),
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_the_wheel_holds_every_schema_as_it_is_here(wheel: Path) -> None:
    schemas = sorted((ROOT / "schemas").rglob("*.avsc"))

    with ZipFile(wheel) as archive:
        for schema in schemas:
            name = f"stream_durable/wire/schemas/{schema.relative_to(ROOT / 'schemas').as_posix()}"
            assert archive.read(name) == schema.read_bytes()

    assert schemas


def test_events_are_read_and_written_from_an_installed_package(installed: Path) -> None:
    done = round_trip(installed, encode(STEP), encode(RUN))

    assert done.stdout.split() == [encode(STEP).hex(), encode(RUN).hex()], done.stderr


def test_events_are_read_and_written_from_the_wheel_as_an_archive(wheel: Path) -> None:
    done = round_trip(wheel, encode(STEP), encode(RUN))

    assert done.stdout.split() == [encode(STEP).hex(), encode(RUN).hex()], done.stderr


def test_an_event_that_an_earlier_release_wrote_gets_the_defaults_of_what_it_did_not_know(
    installed: Path,
) -> None:
    schema: dict[str, Any] = json.loads((ROOT / "schemas" / "step_event.avsc").read_text())
    schema["fields"] = [field for field in schema["fields"] if field["name"] not in ("output", "worker")]
    release = installed / "stream_durable" / "wire" / "schemas" / "released" / "0"
    release.mkdir()
    (release / "step_event.avsc").write_text(json.dumps(schema))
    (release / "run_event.avsc").write_bytes((ROOT / "schemas" / "run_event.avsc").read_bytes())
    body = BytesIO(bytes.fromhex("c301" + fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")))
    body.seek(10)
    schemaless_writer(body, parse_schema(schema), msgspec.structs.asdict(STEP))

    done = round_trip(installed, body.getvalue())

    as_today = encode(msgspec.structs.replace(STEP, output=None, worker=None))
    assert done.stdout.split() == [as_today.hex()], done.stderr


def test_a_package_without_its_schemas_says_where_it_looked(installed: Path) -> None:
    schemas = installed / "stream_durable" / "wire" / "schemas"
    schemas.rename(installed / "elsewhere")

    done = round_trip(installed, encode(STEP))

    assert done.returncode != 0
    assert "BrokenError" in done.stderr
    assert str(schemas) in done.stderr


@pytest.mark.skipif(shutil.which("npm") is None, reason="the page is built with Node 20.19 or newer and npm")
def test_the_wheel_holds_the_page_and_nothing_that_it_is_built_from(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "/api/page/" in name]
        index = archive.read("stream_durable/api/page/index.html").decode()
        scripts = re.findall(r'src="\./(assets/[^"]+\.js)"', index)

    assert scripts
    assert {f"stream_durable/api/page/{script}" for script in scripts} <= set(names)
    assert not [name for name in names if name.endswith((".ts", ".tsx", ".map"))]
