"""The judge of a trial finds each thing that must not be, and nothing in a trial where all went well."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.faults import Fault
from chaos.judge import Judge, Verdict
from chaos.ledger import Completed, Life
from chaos.publisher import Told

_AT = 1_000.0


class Scenery:
    """One run of each of some workflows, all well."""

    def __init__(self) -> None:
        self.told = {
            "chain-1": Told("chain", {"key": "chain-1"}, _AT, is_accepted=True),
            "paid-2": Told("paid", {"key": "paid-2"}, _AT, is_accepted=True, token="event for paid-2"),
            "saga-3": Told("saga", {"fails": 1_000}, _AT, is_accepted=True),
            "fatal-4": Told("fatal", {"deaths": 1_000}, _AT, is_accepted=True),
        }
        links = {(f"link_{n}", 1): Completed(1, f"c{n}", _AT + n, None) for n in range(4)}
        paid = {
            ("order", 1): Completed(1, "o", _AT, None),
            ("paid", 1): Completed(1, "event for paid-2", _AT + 1, None),
            ("ship", 1): Completed(1, "s", _AT + 2, None),
        }
        trip = {("hotel", 1): Completed(1, "h", _AT, None), ("car", 1): Completed(1, "r", _AT + 1, None)}
        self.lives = {
            "chain-1": Life(last="run.completed", completed=links),
            "paid-2": Life(last="run.completed", completed=paid),
            "saga-3": Life(last="run.compensated", completed=trip, compensated=["car", "hotel"]),
            "fatal-4": Life(last="run.failed", code="worker_lost"),
        }
        self.calls = [(run, step, made.token, made.at - 0.1) for run, life in self.lives.items()
                      for (step, _), made in life.completed.items() if step != "paid"]  # fmt: skip
        self.faults: list[Fault] = []
        self.wrong: list[str] = []

    def judged(self, home: Path) -> Verdict:
        lines = [
            {"run": run, "step": step, "attempt": 1, "token": token, "pid": 1, "at": at}
            for run, step, token, at in self.calls
        ]
        (home / "1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        publisher: Any = SimpleNamespace(runs=self.told, refused=[])
        ledger: Any = SimpleNamespace(runs=self.lives, wrong=self.wrong, events=0, repeated=0)
        return Judge(publisher, ledger, home, self.faults).judge()

    def call_again(self, seconds: float) -> None:
        run, step, _, at = self.calls[0]
        self.calls.append((run, step, "again", at + seconds))


def test_where_all_went_well_nothing_is_found(tmp_path: Path) -> None:
    assert Scenery().judged(tmp_path).wrong == {}


def lose(scenery: Scenery) -> None:
    del scenery.lives["chain-1"]


def leave_open(scenery: Scenery) -> None:
    scenery.lives["chain-1"].last = "run.started"


def end_otherwise(scenery: Scenery) -> None:
    scenery.lives["chain-1"].last = "run.failed"


def survive(scenery: Scenery) -> None:
    scenery.lives["fatal-4"].last = "run.completed"


def wake_another(scenery: Scenery) -> None:
    scenery.lives["paid-2"].completed["paid", 1].token = "event for chain-1"


def invent(scenery: Scenery) -> None:
    scenery.lives["chain-1"].completed["link_2", 1].token = "nobody's"


def undo_in_order(scenery: Scenery) -> None:
    scenery.lives["saga-3"].compensated.reverse()


def contradict(scenery: Scenery) -> None:
    scenery.wrong.append("chain-1: statement 4 on steps follows 2")


def call_twice(scenery: Scenery) -> None:
    scenery.faults.append(Fault("kill worker", _AT - 900, _AT - 800))
    scenery.call_again(5)


def make_up(scenery: Scenery) -> None:
    scenery.lives["stranger"] = Life(last="run.completed")


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (lose, "lost"),
        (leave_open, "lost"),
        (end_otherwise, "wrong end"),
        (survive, "wrong end"),
        (wake_another, "woken by what it did not wait for"),
        (invent, "an output that nobody returned"),
        (undo_in_order, "undone otherwise than done"),
        (contradict, "statements contradict each other"),
        (call_twice, "called again without a reason"),
        (make_up, "made up"),
    ],
)
def test_what_must_not_be_is_found(harm: Callable[[Scenery], None], kind: str, tmp_path: Path) -> None:
    scenery = Scenery()
    harm(scenery)

    assert list(scenery.judged(tmp_path).wrong) == [kind]


def test_a_repeated_call_is_explained_by_a_fault_shortly_before_it(tmp_path: Path) -> None:
    scenery = Scenery()
    scenery.faults.append(Fault("kill worker", _AT - 2, _AT - 1))
    scenery.call_again(5)

    verdict = scenery.judged(tmp_path)

    assert verdict.wrong == {}
    assert verdict.figures["repeated calls"] == 1
