"""What programs are given of rows, and what people are."""

from __future__ import annotations

import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from stream_durable.cli.failures import Failed, print_traces
from stream_durable.cli.output import Format, Share, Took, cell_text, show
from stream_durable.cli.shown import folded

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


TRACE = """Traceback (most recent call last):
  File "/srv/shop/orders.py", line 14, in charge
    take(card)
  File "/srv/shop/bank.py", line 3, in take
    raise KeyError("x")
KeyError: 'x'
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def failed(trace: str = TRACE, message: str = "'x'") -> Failed:
    return Failed({"code": "KeyError", "message": message, "trace": trace})


def test_a_failure_is_one_line_with_its_place_for_people_and_all_of_it_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cell_text(failed()) == "KeyError: 'x' (bank.py:3 in take)"
    assert cell_text(Failed({"code": "too_much"})) == "too_much"
    show([{"failure": failed()}], (), Format.JSONL, empty="")
    assert json.loads(capsys.readouterr().out) == {"failure": failed()}


def test_in_a_pipe_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    message = "m" * 3_900

    show([{"id": "run-1", "failure": failed("", message)}], ("id", "failure"), Format.TABLE, empty="")

    assert message in capsys.readouterr().out


def test_on_a_terminal_what_is_cut_keeps_both_ends_and_the_rest_wraps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "60")
    ids = [f"{'a-long-prefix-of-an-id-' * 3}{i}" for i in range(2)]
    rows = [{"id": one, "failure": failed("", f"{'m' * 900} field {one}")} for one in ids]

    show(rows, ("id", "failure"), Format.TABLE, empty="")

    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert text.count("…") == 2
    assert max(map(len, text.splitlines())) <= 60
    assert all(f"-id-{i}" in text.replace(" ", "") for i in range(2))


RUN = {
    "word": "Needs review",
    "id": "0198c3f2-7a51-7c3e-9d2b-5f6a1e0b4c7d",
    "workflow": "order",
    "status": "failed",
    "reason": "charge: bank_down: the bank does not answer, and the card was not charged; ask the customer",
    "steps": Share(1, 3),
    "created": datetime(2026, 11, 28, 1, 10, 28),  # noqa: DTZ001 - the clock of the reader
    "took": Took(1_000, 1_081),
}


def on_terminal(monkeypatch: pytest.MonkeyPatch, width: int, row: dict[str, object]) -> list[str]:
    """Return the printed lines of one row, without colours."""
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", str(width))
    show([row], tuple(row), Format.TABLE, empty="")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    return [line.rstrip() for line in lines[2:]]


def test_on_a_narrow_terminal_a_sentence_is_below_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    row, *below = on_terminal(monkeypatch, 100, RUN | {"id": RUN["id"][:20]})
    assert "2026-11-28 01:10:28" in row and "Needs review" in row
    assert below == [f"  reason: {RUN['reason']}"[:100].rsplit(" ", 1)[0], "  customer"]

    # With less room the last columns go there as well, before any id or time is cut or wrapped.
    row, *below = on_terminal(monkeypatch, 100, RUN)
    assert row.endswith("2026-11-28 01:10:28") and str(RUN["id"]) in row
    assert below[0].startswith("  took: 81 ms   reason: charge: bank_down: ") and len(below) == 2

    row, *below = on_terminal(monkeypatch, 40, RUN)
    assert row == "Needs review"
    assert " ".join(below).split()[:2] == ["id:", RUN["id"]]


def test_on_a_wide_terminal_a_sentence_has_room_in_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = on_terminal(monkeypatch, 150, RUN)

    assert len(lines) == 3
    assert "2026-11-28 01:10:28" in lines[0] and "Needs review" in lines[0]


def test_completed_members_of_a_large_group_are_counted() -> None:
    members = [{"step": f"read[{i}]", "status": "failed" if i == 7 else "completed"} for i in range(30)]
    small = [{"step": f"mail[{i}]", "status": "completed"} for i in range(2)]

    rows = folded([{"step": "find", "status": "completed"}, *members, *small])

    assert [row["step"] for row in rows] == ["find", "read[…]", "read[7]", "mail[0]", "mail[1]"]
    assert rows[1]["note"] == "29 completed"


def test_stack_traces_are_printed_once_and_not_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    print_traces([
        ("a", failed()), ("b", None), ("c", failed()), ("d", failed("")),
        *((f"e[{i}]", failed(f"Traceback {i}")) for i in range(6)),
    ])  # fmt: skip

    printed = capsys.readouterr()
    assert printed.out.count("raise KeyError") == 1
    assert "a and 1 more:\n  Traceback" in printed.out
    assert "e[3]:" in printed.out and "e[4]:" not in printed.out
    assert "2 more stack traces" in printed.err
