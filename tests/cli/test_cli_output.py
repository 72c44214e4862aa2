"""What programs are given of rows, and what people are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from stream_durable.cli.output import Format, Share, Took, cell_text, show

ROW = {
    "id": "run-1",
    "steps": Share(1, 3),
    "took": Took(1_000, 1_081),
    "waits": Took(1_000, None),
    "created": datetime(2026, 11, 28, 1, 10, 28, 87_000, tzinfo=timezone(timedelta(hours=1))),
    "logs": [{"time": datetime(2026, 11, 28, tzinfo=UTC)}],
    "percent": 12.5,
    "output": {"tracking": None},
}


@pytest.mark.parametrize("output", [Format.JSON, Format.JSONL])
def test_programs_get_numbers_as_numbers_and_times_as_times(
    output: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    show([ROW], (), output, empty="")

    printed = json.loads(capsys.readouterr().out)
    assert (printed if output is Format.JSONL else printed[0]) == {
        "id": "run-1",
        "steps": {"done": 1, "total": 3},
        "took_ms": 81,
        "waits_ms": None,
        "created": "2026-11-28T00:10:28.087Z",
        "logs": [{"time": "2026-11-28T00:00:00.000Z"}],
        "percent": 12.5,
        "output": {"tracking": None},
    }


def test_people_get_text() -> None:
    assert [cell_text(ROW[name]) for name in ("steps", "took", "waits")] == ["1/3", "81 ms", ""]
    assert [str(Took(0, end)) for end in (1_500, 180_000, 9_000_000)] == ["1.5 s", "3 min", "2.5 h"]
