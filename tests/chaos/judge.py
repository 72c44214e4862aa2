"""What has to be true when all is over: from the public topics and the journals of the functions."""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from chaos.faults import Fault
from chaos.ledger import ENDED, Ledger, Life
from chaos.publisher import Publisher, Told
from chaos.workflows import app
from stream_durable.core.definition.nodes import StepNode

#: A fault explains repeated calls until everybody has found to work again: session, lease, back-off, backlog.
EXPLAINED_SECONDS = 60.0
_SHOWN = 12
#: Which waits have a token from outside, by workflow.
_TOLD = {"approval": ("answer",), "paid": ("paid",), "restarted": ("paid", "seen")}


class Call(NamedTuple):
    """One call of a function."""

    at: float
    token: str
    pid: int


@dataclass
class Verdict:
    """What was found, by kind; and what is worth knowing besides."""

    wrong: dict[str, list[str]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, kind: str, found: Iterable[str]) -> None:
        if found := list(found):
            self.wrong.setdefault(kind, []).extend(found)

    @property
    def holds(self) -> bool:
        return not self.wrong

    def lines(self) -> list[str]:
        return [
            f"{kind}: {len(found)}" + "".join(f"\n    {one[:700]}" for one in found[:_SHOWN])
            for kind, found in self.wrong.items()
        ]


class Judge:
    """Compares what different hands have written."""

    def __init__(self, publisher: Publisher, ledger: Ledger, journals: Path, faults: list[Fault]) -> None:
        self._told = publisher.runs
        self._publisher = publisher
        self._ledger = ledger
        self._calls = read_journals(journals)
        self._faults = sorted(faults, key=lambda fault: fault.begun)
        self.verdict = Verdict()

    def judge(self) -> Verdict:
        """Look at everything that was said in public."""
        add = self.verdict.add
        add("a start was not acknowledged", self._publisher.refused)
        add("statements contradict each other", self._ledger.wrong)
        add("made up", (run for run in self._ledger.runs if run not in self._told and "/" not in run))
        add("lost", self._lost())
        for run, told in self._told.items():
            life = self._ledger.runs.get(run)
            if life is not None and life.last in ENDED:
                self._one(run, told, life)
        self._repeats()
        self._count()
        return self.verdict

    def _lost(self) -> Iterable[str]:
        for run, told in self._told.items():
            life = self._ledger.runs.get(run)
            if told.is_accepted and (life is None or life.last not in ENDED):
                yield f"{run}: {life.last if life else 'nothing was ever said'}, {told}"

    def _one(self, run: str, told: Told, life: Life) -> None:
        if life.last not in allowed_ends(told):
            self.verdict.add("wrong end", [f"{run}: {life.last} ({life.code}), {told}"])
        functions = _functions(told.workflow)
        for (step, attempt), made in life.completed.items():
            if step.split("[")[0] in functions:
                if isinstance(made.output, dict) and "$blob" in made.output:
                    # Kept elsewhere; the step behind it says what it was handed.
                    continue
                calls = self._calls.get((run, step, attempt), [])
                if made.token not in {call.token for call in calls}:
                    self.verdict.add("an output that nobody returned", [f"{run} {step} {attempt}: {made}"])
            elif step in _TOLD.get(told.workflow, ()) and made.token != told.token:
                text = f"{run} {step}: was told {made.token!r}, not {told.token!r}"
                self.verdict.add("woken by what it did not wait for", [text])
        if told.workflow == "large" and life.last == "run.completed":
            self._weighed(run, told, life)
        if told.workflow == "saga" and life.last == "run.compensated":
            self._undone(run, life)

    def _weighed(self, run: str, told: Told, life: Life) -> None:
        """A large value comes to the next step whole, and as it was returned."""
        made = next(m for (step, _), m in life.completed.items() if step == "weighed")
        huge = next(attempt for step, attempt in life.completed if step == "huge")
        handed = self._calls.get((run, "huge", huge), [])
        if (
            made.output["of"] not in {call.token for call in handed}
            or made.output["bytes"] != told.input["bytes"]
        ):
            self.verdict.add("a large value came otherwise than it was", [f"{run}: {made.output}"])

    def _undone(self, run: str, life: Life) -> None:
        done = sorted(life.completed, key=lambda key: life.completed[key].at)
        wanted = [step for step, _ in reversed(done) if step in ("hotel", "car")]
        if life.compensated != wanted:
            self.verdict.add("undone otherwise than done", [f"{run}: {life.compensated}, not {wanted}"])

    def _repeats(self) -> None:
        repeated = unexplained = after = 0
        for (run, step, attempt), calls in self._calls.items():
            calls.sort()
            life = self._ledger.runs.get(run)
            made = life.completed.get((step, attempt)) if life else None
            for earlier, call in zip(calls, calls[1:], strict=False):
                repeated += 1
                if made is not None and call.at > made.at + 1:
                    after += 1
                if not self._explained(earlier.at, call.at) and not _is_deadly(run):
                    unexplained += 1
                    text = f"{run} {step} {attempt}: called at {earlier.at:.1f} and {call.at:.1f}"
                    self.verdict.add("called again without a reason", [text])
        figures = self.verdict.figures
        figures["repeated calls"] = repeated
        figures["of these, after the result was published"] = after

    def _explained(self, first: float, again: float) -> bool:
        """Whether something had gone wrong between the two, or shortly before the second."""
        until = bisect_left(self._faults, again, key=lambda fault: fault.begun)
        return any(fault.ended + EXPLAINED_SECONDS >= first for fault in self._faults[:until])

    def _count(self) -> None:
        lasts = Counter(life.last for life in self._ledger.runs.values())
        self.verdict.figures |= {
            "runs": len(self._told),
            "ended": dict(lasts),
            "calls": sum(map(len, self._calls.values())),
            "most calls of one attempt": max(map(len, self._calls.values()), default=0),
            "events": self._ledger.events,
            "repeated events": self._ledger.repeated,
            "faults": dict(Counter(fault.what.split("-")[0] for fault in self._faults)),
        }


def read_journals(journals: Path) -> dict[tuple[str, str, int], list[Call]]:
    """All calls, by attempt."""
    found: dict[tuple[str, str, int], list[Call]] = {}
    for journal in journals.iterdir():
        for line in journal.read_text().splitlines():
            call = json.loads(line)
            key = call["run"], call["step"], call["attempt"]
            found.setdefault(key, []).append(Call(call["at"], call["token"], call["pid"]))
    return found


def allowed_ends(told: Told) -> set[str]:
    """How this run may end."""
    ends = {"run.completed"}
    if told.workflow in ("fatal", "stuck"):
        ends = {"run.failed"}
    if told.workflow == "saga" and told.input["fails"]:
        ends = {"run.compensated"}
    if "cancel" in told.orders:
        ends |= {"run.cancelled"} | ({"run.compensated"} if told.workflow == "saga" else set())
    return ends


def _functions(workflow: str) -> set[str]:
    return {node.name for node in app.workflows[workflow].definition().nodes if type(node) is StepNode}


def _is_deadly(run: str) -> bool:
    return run.startswith(("poison", "fatal", "stuck"))
