"""`why` and what `status` and lists say of it, on a real instance."""

from __future__ import annotations

import pytest
from cli_world import Cli

from stream_durable.core.status import RUN_ENDED

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("on_instance")]


def test_a_waiting_and_a_failed_run_are_explained(cli: Cli) -> None:
    cli("runs", "start", "order", "--input", '{"id": "why-1", "total": 20000}', "--id", "why-1")
    cli("runs", "watch", "why-1", code=None)
    found = cli.rows("why", "why-1")
    assert (found["word"], found["code"], found["step"]) == ("Needs review", "failed", "charge")
    assert found["evidence"]["failure"] == "too_much"
    assert found["status"] in RUN_ENDED
    text = cli("why", "why-1").stdout
    assert text.startswith("Needs review: charge failed for good")
    assert cli("runs", "why", "why-1", "charge").stdout == cli("why", "why-1", "charge").stdout
    assert "no step 'nothing'" in cli("why", "why-1", "nothing", code=None).stderr
    [row] = [row for row in cli.rows("runs", "list") if row["id"] == "why-1"]
    assert row["word"] == "Needs review"
    assert row["reason"].startswith("charge: too_much")
    status = cli.rows("status", code=None)
    [need] = [need for need in status["attention"] if need["evidence"].get("code") == "too_much"]
    assert (need["word"], need["evidence"]["step"]) == ("Needs review", "charge")
    assert "Needs attention, by cause:" in cli("status", code=None).stdout
