"""The product's own files, read once for all tests of this folder."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "stream_durable"
MIGRATIONS = PACKAGE / "postgres" / "migrations"

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@cache
def modules() -> dict[str, ast.Module]:
    """Return all modules, by path from the root."""
    found = sorted(PACKAGE.rglob("*.py"))
    return {str(p.relative_to(ROOT)): ast.parse(p.read_text()) for p in found}


def defined_names(module: ast.Module) -> Iterator[str]:
    """Return the names that a module gives to things, not those it merely uses."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


@cache
def imported(module: ast.Module) -> set[str]:
    """Return the packages that a module imports."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def literals(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Return the texts in a module with their lines, without docstrings; `{}` stands for what is put in."""
    skipped: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
            skipped |= {id(p) for p in node.values}
            yield node.lineno, "".join(map(str, parts))
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


@cache
def migration(number: int) -> str:
    """Return a migration, without comments."""
    (file,) = MIGRATIONS.glob(f"{number:04}_*.sql")
    return re.sub(r"--.*", "", file.read_text())


def words(name: str) -> list[str]:
    """Return the words that a name is made of."""
    return [word.lower() for word in _WORD.findall(name)]
