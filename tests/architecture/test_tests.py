"""What holds for the tests themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from architecture.sources import ROOT

TESTS = ROOT / "tests"


def dictionaries(module: ast.Module) -> Iterator[tuple[int, set[object]]]:
    """Return the lines and the constant keys of all dictionaries that are written out."""
    for node in ast.walk(module):
        if isinstance(node, ast.Dict):
            yield node.lineno, {key.value for key in node.keys if isinstance(key, ast.Constant)}


def test_kafka_clients_of_tests_print_no_lines_among_the_failures() -> None:
    """By default librdkafka writes to the standard error whenever a broker is away."""
    files = sorted(TESTS.rglob("*.py"))
    clients = [
        (f"{file.relative_to(ROOT)}:{line}", "log_level" in keys)
        for file in files
        for line, keys in dictionaries(ast.parse(file.read_text()))
        if "bootstrap.servers" in keys
    ]

    assert len(clients) > 20
    assert [place for place, is_silent in clients if not is_silent] == []
