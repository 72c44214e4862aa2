"""One word for one thing, everywhere: see the second section of the design."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from architecture.sources import MIGRATIONS, PACKAGE, ROOT, defined_names, imported, modules, words

#: What is not said, and what is said instead.
FORBIDDEN = {
    "execution": "run", "executions": "runs", "invocation": "run or attempt", "workflow instance": "run",
    "run instance": "run", "job": "run or command", "jobs": "runs or commands", "activity": "step",
    "activities": "steps", "pipeline": "workflow", "pipelines": "workflows", "saga": "workflow",
    "task": "step or command", "tasks": "steps or commands", "task queue": "queue", "work item": "command",
    "workitem": "command", "side effect": "effect", "side effects": "effects", "cron job": "schedule",
    "periodic": "schedule", "semaphore": "gate", "limiter": "gate", "subworkflow": "child",
    "sub workflow": "child", "child workflow": "child", "parent workflow": "run",
    "orchestrator": "reconciler", "orchestration": "workflow",
    "dead queue": "dead letter", "poison queue": "dead letter",
}  # fmt: skip

#: Where somebody else's word is meant, or an exception is not mended yet.
ALLOWED = {
    (
        "job",
        "stream_durable/worker/",
    ): "a command as the worker holds it; not mended yet",
    ("jobs", "stream_durable/worker/"): "as above",
}

#: Libraries whose own word is a task.
TASKS_OF = {"asyncio", "rich"}

#: Names that say nothing about what is inside.
NO_MODULE = {
    "util",
    "utils",
    "common",
    "helper",
    "helpers",
    "base",
    "types",
    "models",
    "manager",
    "managers",
    "misc",
}


def forbidden_in(name: str) -> list[str]:
    """Return the forbidden words that a name is made of."""
    spoken = f" {' '.join(words(name))} "
    return [word for word in FORBIDDEN if f" {word} " in spoken]


def is_allowed(word: str, path: str, packages: set[str]) -> bool:
    if word in ("task", "tasks") and packages & TASKS_OF:
        return True
    return any(word == allowed and path.startswith(place) for allowed, place in ALLOWED)


@pytest.mark.parametrize(
    ("name", "found"),
    [("task_queue", ["task", "task queue"]), ("_JobKey", ["job"]), ("RunExecution", ["execution"]),
     ("jobless", []), ("multitasking", []), ("STEP_FAILED", []), ("isinstance", [])],
)  # fmt: skip
def test_a_word_is_found_in_every_way_of_writing_names(name: str, found: list[str]) -> None:
    assert sorted(forbidden_in(name)) == found


def test_names_in_python() -> None:
    faults = {
        f"{path}: {name!r} says {word!r}, not {FORBIDDEN[word]!r}"
        for path, module in modules().items()
        for name in set(defined_names(module))
        for word in forbidden_in(name)
        if not is_allowed(word, path, imported(module))
    }

    assert not faults, "\n".join(sorted(faults))


def test_every_exception_is_needed() -> None:
    used = {
        (word, place)
        for path, module in modules().items()
        for name in set(defined_names(module))
        for word in forbidden_in(name)
        for allowed, place in ALLOWED
        if word == allowed and path.startswith(place)
    }

    assert used == set(ALLOWED)


def test_names_in_sql() -> None:
    faults = set()
    for file in [*MIGRATIONS.glob("*.sql"), *(PACKAGE / "postgres" / "queries").glob("*.sql")]:
        text = re.sub(r"--.*|'[^']*'", "", file.read_text())
        # The catalogue's names are the server's.
        names = [name for name in re.findall(r"[a-z_]+", text) if not name.startswith("pg_")]
        faults |= {f"{file.name}: {name}" for name in names if forbidden_in(name)}

    assert not faults


def names_of(schema: Any) -> Iterator[str]:
    """Return the names of a schema's records and fields, however deep."""
    if isinstance(schema, dict):
        if isinstance(schema.get("name"), str):
            yield schema["name"]
        for value in schema.values():
            yield from names_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from names_of(value)


def test_names_in_avro() -> None:
    files = list((ROOT / "schemas").rglob("*.avsc"))

    faults = {
        f"{file.name}: {name}"
        for file in files
        for name in names_of(json.loads(file.read_text()))
        if forbidden_in(name)
    }

    assert files
    assert not faults


def test_a_module_is_named_after_what_is_in_it() -> None:
    parts = {part for path in modules() for part in path.removesuffix(".py").split("/")}

    assert not parts & NO_MODULE
