"""Commands that start runs later, find them, and tell them what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli_world import SECONDS, Cli, Instance

from stream_durable.local.process import wait_for

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("on_instance")]


def start(cli: Cli, run: str, *options: str, workflow: str = "order", **fields: Any) -> None:
    given = fields if workflow == "quick" else {"id": run, **fields}
    cli("runs", "start", workflow, "--input", json.dumps(given), "--id", run, *options)


def until(cli: Cli, run: str, status: str, **steps: str) -> dict[str, Any]:
    """Wait until a run and some of its steps stand like this; return what is shown."""
    shown: dict[str, Any] = {}

    def stands() -> bool:
        shown.update(cli.rows("runs", "show", run))
        found = {step["step"]: step["status"] for step in shown["steps"]}
        return shown["status"] == status and all(found.get(name) == one for name, one in steps.items())

    wait_for(stands, seconds=SECONDS, what=f"{run} to be {status} with {steps}; it is {shown}")
    return shown


def test_a_run_begins_later_and_keeps_what_it_was_given(cli: Cli) -> None:
    start(cli, "later-1", "--after", "1h", "--priority", "5", "--tag", "vip", "--meta", '{"who": "tom"}')
    start(cli, "later-2", "--at", "2100-01-31T09:00")

    shown = cli.rows("runs", "show", "later-1")
    assert (shown["status"], shown["priority"], shown["tags"]) == ("pending", 5, ["vip"])
    assert (shown["started"], shown["created"] is not None) == (None, True)
    assert shown["metadata"] == {"who": "tom"}
    assert cli.rows("runs", "show", "later-2")["begins"].startswith("2100-01-3")
    assert "later-1" in cli("runs", "list", "--status", "pending", "--tag", "vip").stdout
    assert "not both" in cli("runs", "start", "quick", "--after", "1h", "--at", "2100-01-31", code=2).stderr
    assert "is no time" in cli("runs", "start", "quick", "--at", "tomorrow", code=2).stderr


def test_runs_are_found_by_what_is_known_of_them(cli: Cli) -> None:
    for i in range(5):
        start(cli, f"find-{i}", "--tag", "found", workflow="slow")

    assert cli("runs", "count", "--tag", "found").stdout.strip() == "5"
    assert cli.rows("runs", "count", "--tag", "found", "--at-most", "3") == {"found": 3, "is_exact": False}
    assert cli("runs", "count", "--tag", "found", "--before", "1h").stdout.strip() == "0"
    assert cli("runs", "count", "--text", '"id":"find-3"', "--since", "1h").stdout.strip() == "1"
    first = cli("runs", "list", "--tag", "found", "--limit", "3", "--output", "json")
    rows = json.loads(first.stdout)
    assert f"--after {rows[-1]['cursor']}" in first.stderr
    rest = cli.rows("runs", "list", "--tag", "found", "--limit", "3", "--after", rows[-1]["cursor"])
    assert [row["id"] for row in rows + rest] == [f"find-{i}" for i in (4, 3, 2, 1, 0)]
    assert "no position in this list" in cli("runs", "list", "--after", "there", code=2).stderr

    result = cli("runs", "cancel", "--tag", "found", "--reason", "tidying", stdin="n\n")
    assert "met by 5 runs" in result.stderr
    assert cli("runs", "count", "--tag", "found", "--status", "cancelled").stdout.strip() == "0"
    assert "Requested to cancel 5 runs." in cli("runs", "cancel", "--tag", "found", "--yes").stdout
    for i in range(5):
        until(cli, f"find-{i}", "cancelled")


def test_a_run_is_paused_and_goes_on(cli: Cli) -> None:
    start(cli, "pause-1")
    until(cli, "pause-1", "waiting", paid="waiting")

    cli("runs", "pause", "pause-1", "--reason", "lunch")
    until(cli, "pause-1", "paused")
    cli("publish", "payment.captured", "--key", "pause-1", "--data", '{"amount": 1}')
    shown = until(cli, "pause-1", "paused", paid="completed")
    assert shown["requests"]["pause"]["reason"] == "lunch"
    assert [step["held"] for step in shown["steps"] if step["step"] == "released"] == ["paused"]
    assert "held: paused" in cli("runs", "show", "pause-1").stdout

    cli("runs", "resume", "pause-1", "--context", '{"by": "tom"}')
    assert until(cli, "pause-1", "waiting", released="waiting")["context"]["by"] == "tom"
    assert "Requested to pause 1 run." in cli("runs", "pause", "--text", "pause-1", "--yes").stdout
    until(cli, "pause-1", "paused")
    assert "Requested to resume 1 run." in cli("runs", "resume", "--status", "paused", "--yes").stdout
    until(cli, "pause-1", "waiting")


def test_steps_are_skipped_and_ended_by_hand(cli: Cli) -> None:
    start(cli, "hand-1")
    until(cli, "hand-1", "waiting", paid="waiting")

    assert "is 'paid' meant?" in cli("runs", "skip", "hand-1", "pad", code=1).stderr
    cli("runs", "skip", "hand-1", "paid", "--reason", "paid in cash")
    until(cli, "hand-1", "waiting", paid="skipped", released="waiting")
    start(cli, "hand-1", "--signal", "other", "--signal-data", '{"n": 1}', "--signal-by", "tom")
    wait_for(
        lambda: (
            ["kept", "tom", "signal other"]
            in [[one["what"], one["by"], one["text"]] for one in cli.rows("runs", "history", "hand-1")]
        ),
        seconds=SECONDS,
        what="the signal that is kept for a wait to come",
    )
    assert (
        "'paid' of run 'hand-1' has no output, for it is skipped"
        in cli("runs", "output", "hand-1", "paid", code=1).stderr
    )
    assert "step 'ship' has not ended within 0s" in cli("runs", "output", "hand-1", "ship", code=1).stderr
    assert cli("runs", "value", "hand-1", "input.id").stdout == '"hand-1"\n'
    assert "nothing is at 'input.nothing'" in cli("runs", "value", "hand-1", "input.nothing", code=1).stderr
    cli("runs", "cancel", "hand-1", "--step", "released")
    until(cli, "hand-1", "cancelled", released="cancelled", ship="cancelled")
    assert "cancel x of 0 runs" in cli("runs", "cancel", "--step", "x", "--tag", "y", "--yes").stdout


def test_what_failed_is_listed_looked_at_and_made_anew(cli: Cli) -> None:
    for run in ("dear-1", "dear-2"):
        start(cli, run, "--tag", "dear", total=5_000)
        until(cli, run, "failed")

    assert [row["id"] for row in cli.rows("dead", "list", "--tag", "dear")] == ["dear-2", "dear-1"]
    (attempt,) = cli.rows("dead", "show", "dear-1")
    assert (attempt["step"], attempt["failure"]["code"]) == ("charge", "too_much")
    cli("runs", "retry", "dear-1")
    cli("dead", "redrive", "--tag", "dear", "--whole", "--yes")
    wait_for(
        lambda: {row["attempt"] for row in cli.rows("runs", "attempts", "dear-2", "charge")} == {1, 2},
        seconds=SECONDS,
        what="the second attempt",
    )
    assert "too_much" in cli("runs", "attempts", "dear-2").stdout
    assert cli.rows("runs", "logs", "dear-2") == []
    start(cli, "fine", workflow="quick", n=1)
    until(cli, "fine", "completed")
    assert "has not failed" in cli("dead", "show", "fine", code=2).stderr
    assert "has ended as completed" in cli("runs", "pause", "fine", code=1).stderr
    assert "Requested to retry two of fine." in cli("runs", "retry", "fine", "--step", "two").stdout
    until(cli, "fine", "completed")
    assert "name one, or retry" in cli("runs", "retry", "fine", code=1).stderr


def test_a_failure_is_seen_with_its_place_in_the_code_wherever_one_looks(cli: Cli) -> None:
    followed = cli("runs", "start", "broken", "-i", "{}", "--id", "broken-1", "-f", code=1)
    place = "orders_app.py:"
    line = (
        "KeyError: 'no such key in what the run was started with, and this takes a line that is rather long'"
    )

    assert followed.stdout.count("Traceback (most recent call last):") == 1, (
        "of two attempts, as it is the same"
    )
    assert followed.stdout.count(f"{line} ({place}") >= 2, "at the last attempt and at the end of the run"
    shown = cli("runs", "show", "broken-1").stdout
    assert shown.count(f"{line} ({place}") == 2
    assert "look, attempt 2:\n  Traceback (most recent call last):" in shown
    tried = cli("runs", "attempts", "broken-1").stdout
    assert "look, attempt 1 and 1 more:\n  Traceback (most recent call last):" in tried
    assert cli("dead", "show", "broken-1").stdout == tried
    assert f"{line} ({place}" in cli("dead", "list", "--workflow", "broken").stdout
    failure = cli.rows("runs", "show", "broken-1")["steps"][0]["failure"]
    assert failure["code"] == "KeyError"
    assert place.rstrip(":") in failure["trace"]


def test_the_worker_says_what_failed(cli: Cli, on_instance: Instance) -> None:
    cli("runs", "start", "broken", "-i", "{}", "--id", "broken-2", "-f", code=1)

    said = [line for line in on_instance.services["worker"].text().splitlines() if "broken-2" in line]
    failed = [line for line in map(json.loads, said) if line["event"] == "attempt.failed"]
    assert [line["attempt"] for line in failed] == [1, 2]
    assert "in look\n" in failed[0]["trace"]


def test_what_runs_wait_for_and_events_that_nobody_took_are_found(cli: Cli) -> None:
    start(cli, "wait-1")
    shown = until(cli, "wait-1", "waiting", paid="waiting")
    cli("publish", "payment.captured", "--key", "wait_1", "--id", "mistyped")

    (waits,) = [step["waits_for"] for step in shown["steps"] if step["step"] == "paid"]
    assert [(one["kind"], one["name"], one["key"]) for one in waits] == [
        ("event", "payment.captured", "wait-1")
    ]
    assert "event payment.captured with key wait-1" in cli("runs", "show", "wait-1").stdout
    (reaction,) = shown["reactions"]
    assert (reaction["reaction"], reaction["of"], reaction["key"], reaction["behind"]) == (
        "hurried", "order.hurried", "wait-1", 0,
    )  # fmt: skip
    assert "event order.hurried with key wait-1" in cli("runs", "show", "wait-1").stdout
    (reading,) = cli.rows("waits", "list", "--event", "order.hurried", "--key", "wait-1")
    assert (reading["run"], reading["kind"], reading["behind"]) == ("wait-1", "event reaction", 0)
    (wait,) = cli.rows("waits", "list", "--event", "payment.captured", "--key", "wait-1")
    assert (wait["run"], wait["step"], wait["until"]) == ("wait-1", "paid", None)
    wait_for(
        lambda: [one["id"] for one in cli.rows("events", "list", "--key", "wait_1")] == ["mistyped"],
        seconds=SECONDS,
        what="the event that nobody took",
    )
    assert "wait_1" in cli("events", "list", "--event", "payment.captured").stdout
    assert "No step waits" in cli("waits", "list", "--event", "payment.refunded").stdout
    assert {"status": "waiting", "runs": 1} in cli.rows(
        "runs", "count", "--workflow", "order", "--text", '"id":"wait-1"', "--by", "status"
    )


def test_a_run_that_exists_is_watched_to_its_end(cli: Cli) -> None:
    start(cli, "watch-1", workflow="quick", n=20)
    until(cli, "watch-1", "completed")

    watched = cli("runs", "watch", "watch-1").stdout.splitlines()
    assert watched[-1] == "42"
    assert any("two" in text and "completed" in text for text in watched)
    assert cli("runs", "watch", "watch-2", code=3).stderr


def test_a_run_is_started_again_and_has_a_family(cli: Cli) -> None:
    start(cli, "again-1", workflow="quick", n=20)
    until(cli, "again-1", "completed")

    assert "Started again-2." in cli("runs", "again", "again-1", "--id", "again-2").stdout
    assert until(cli, "again-2", "completed")["output"] == 42
    assert "again-1  quick  completed  2/2  <- this one" in cli("runs", "tree", "again-1").stdout
    assert cli.rows("runs", "tree", "again-1")["children"] == []
    assert cli.rows("runs", "children", "again-1") == []
