"""The pages of the language: their examples are defined, typed and tested, page by page."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pages import ROOT, blocks, links

from stream_durable import Workflow
from stream_durable.pictures import mermaid, text

PAGES = sorted((ROOT / "docs" / "language").glob("*.md"))


def program(page: Path) -> str:
    """Return the Python blocks of a page as one module, which has the line numbers of the page."""
    lines: list[str] = []
    for block in blocks("python"):
        if block.page == page:
            lines += [""] * (block.line - len(lines))
            lines += block.text.splitlines()
    return "\n".join(lines) + "\n"


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def shown(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """A module with everything that the examples of one page define."""
    page: Path = request.param
    module = ModuleType(f"shown_{page.stem}")
    sys.modules[module.__name__] = module
    try:
        exec(compile(program(page), str(page), "exec", dont_inherit=True), module.__dict__)
        yield module
    finally:
        del sys.modules[module.__name__]


def test_examples_are_valid_definitions(shown: ModuleType) -> None:
    found = [value for value in vars(shown).values() if isinstance(value, Workflow)]

    assert found or shown.__name__ in {"shown_pictures", "shown_queues"}
    for workflow in found:
        assert workflow.definition().nodes


def test_tests_that_are_shown_pass(shown: ModuleType) -> None:
    for name, function in vars(shown).items():
        if name.startswith("test_") and inspect.isfunction(function):
            function()


def test_examples_pass_mypy_strict(tmp_path: Path) -> None:
    for page in PAGES:
        (tmp_path / f"{page.stem}.py").write_text(program(page))
    (tmp_path / "mypy.ini").write_text("[mypy]\n")

    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--follow-imports=silent"]
    command += ["--cache-dir", f"{tempfile.gettempdir()}/stream-durable-mypy", "."]
    done = subprocess.run(
        command, cwd=tmp_path, env={"MYPYPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_pictures_that_are_shown_are_those_of_the_example() -> None:
    import shop

    definition = shop.orders.definition()

    shown = [block.text for block in blocks("text") + blocks("mermaid") if block.page.name == "pictures.md"]

    assert shown == [text(definition), mermaid(definition)]


def test_the_index_has_every_page() -> None:
    index = ROOT / "docs" / "language.md"

    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}

    assert PAGES
    assert not set(PAGES) - linked
