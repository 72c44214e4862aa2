"""The types of the page are those of the API's document."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

DASHBOARD = Path(__file__).parents[2] / "dashboard"
WRITER = DASHBOARD / "node_modules" / ".bin" / "openapi-typescript"


@pytest.mark.skipif(
    shutil.which("node") is None or not WRITER.exists(), reason="needs node and the packages of dashboard/"
)
def test_the_types_are_those_that_the_document_gives(tmp_path: Path) -> None:
    made = tmp_path / "schema.ts"
    subprocess.run([WRITER, DASHBOARD.parent / "openapi.json", "-o", made], check=True, capture_output=True)
    assert made.read_text() == (DASHBOARD / "src" / "api" / "schema.ts").read_text(), (
        "`npm run types` in dashboard/ writes src/api/schema.ts"
    )
