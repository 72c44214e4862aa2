"""Writes docs/reference/api: `python tests/docs/api_pages.py`.

Each page has the public names of one module, with signature, docstring and the comments above fields.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import api_source as source
from api_source import Field, Found
from pages import ROOT

HOME: Final = ROOT / "docs" / "reference" / "api"
NOTE: Final = "<!-- Generated: python tests/docs/api_pages.py -->"


class Page(NamedTuple):
    """A page: its file, the module that it is about, and what stands at its head."""

    file: str
    module: str
    about: str
    #: Names that the module does not export, because callers receive these objects and never make them.
    received: tuple[tuple[str, str], ...] = ()


PAGES: Final = (
    Page(
        "workflows.md",
        "stream_durable",
        "What authors of workflows import, and the client's main names. The [language](../../language.md) "
        "explains them by example.",
        received=(
            ("stream_durable.sdk.scope", "Branch"),
            ("stream_durable.sdk.scope", "Clause"),
            ("stream_durable.sdk.steps", "Child"),
            ("stream_durable.sdk.results", "Outcome"),
            ("stream_durable.sdk.steps", "Step"),
            ("stream_durable.sdk.steps", "StepFunction"),
            ("stream_durable.sdk.steps", "Template"),
        ),
    ),
    Page(
        "client.md",
        "stream_durable.client",
        "What programs use to start runs, to send messages to them, and to look at them. "
        "`stream_durable.Client()` opens an `AsyncClient`, and `Client.sync()` a `BlockingClient`.",
    ),
    Page(
        "testing.md",
        "stream_durable.testing",
        "The testing kit: see [Testing](../../testing.md). It takes the extra `testing`.",
    ),
    Page(
        "streams.md",
        "stream_durable.streams",
        "Stream processors beside the engine: see [Streams](../streams.md). They take the extra `streams`.",
    ),
)


def pages() -> dict[Path, str]:
    """Return the text of every page, by its place."""
    return {HOME / page.file: _page(page) for page in PAGES} | {HOME.with_suffix(".md"): _index()}


def _index() -> str:
    lines = ["# API reference", "", NOTE, "", "Every public name, by the module to import it from."]
    for page in PAGES:
        lines += ["", f"## [{page.module}](api/{page.file})", "", "| name | |", "| --- | --- |"]
        for name, found in _found(page):
            about = _cell(_about(found))
            lines.append(f"| [`{name}`](api/{page.file}#{name.lower()}) | {about} |")
    return "\n".join(lines) + "\n"


def _page(page: Page) -> str:
    lines = [f"# {page.module}", "", NOTE, "", page.about]
    options: dict[str, Found] = {}
    for name, found in _found(page):
        lines += ["", f"## {name}", "", *_entry(page, name, found, options)]
    for name, found in sorted(options.items()):
        lines += ["", f"## {name}", "", source.doc(found.node), "", *_table(_all_fields(found))]
    return "\n".join(lines) + "\n"


def _found(page: Page) -> Iterator[tuple[str, Found]]:
    exported = [(page.module, name) for name in source.public_names(page.module)]
    for module, name in sorted([*exported, *page.received], key=lambda pair: pair[1].lower()):
        found = source.find(module, name)
        assert found is not None, f"{module}.{name} is defined elsewhere"
        yield name, found


def _about(found: Found) -> str:
    if isinstance(found.node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return source.first_paragraph(found.node)
    return source.comment(found.module, found.node.lineno)


def _client_names() -> dict[str, str]:
    """Return the names of the client's page, with links to them."""
    return {name: f"client.md#{name.lower()}" for name in source.public_names("stream_durable.client")}


def _entry(page: Page, name: str, found: Found, options: dict[str, Found]) -> Iterator[str]:
    link = _client_names().get(name)
    if link is not None and page.module != "stream_durable.client":
        yield f"{_about(found)} See [the client]({link})."
    elif isinstance(found.node, ast.ClassDef):
        is_made = name not in {received for _, received in page.received}
        yield from _class(name, found, options, is_made=is_made)
    elif isinstance(found.node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _call(found, found.node, name, options)
    else:
        yield from ("```text", ast.unparse(found.node), "```")
        if about := source.comment(found.module, found.node.lineno):
            yield from ("", about)


def _class(name: str, found: Found, options: dict[str, Found], *, is_made: bool) -> Iterator[str]:
    assert isinstance(found.node, ast.ClassDef)
    elsewhere = _client_names()
    if known := source.bases(found.node):
        yield from (f"A `{known[0]}`.", "")
    if is_made and (call := source.constructor(found, name)):
        yield from ("```text", call, "```", "")
    yield from _doc(source.doc(found.node))
    if is_made and (init := source.init(found)) and (more := source.doc(init)):
        yield from ("", *_doc(more))
    if rows := _all_fields(found):
        yield from ("", *_table(rows))
    for each in source.family(found):
        base = each.node.name if isinstance(each.node, ast.ClassDef) else ""
        if base != name and base in elsewhere:
            yield from ("", f"All else is that of [{base}]({elsewhere[base]}).")
            break
        for method in source.calls(each):
            yield from ("", f"### {name}.{method.name}", "")
            yield from _call(each, method, method.name, options)
    if same := list(source.borrowed(found)):
        yield from ("", "These block until the method of the asynchronous class has ended:", "")
        yield from (f"- `{own}`: `{theirs}`" for own, theirs in same)


def _call(
    found: Found, node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, options: dict[str, Found]
) -> Iterator[str]:
    yield from ("```text", source.signature(node, name), "```", "", *_doc(source.doc(node)))
    _note_options(found, node, options)


def _note_options(
    found: Found, node: ast.FunctionDef | ast.AsyncFunctionDef, options: dict[str, Found]
) -> None:
    name = source.options_of(node)
    if name is not None and (defined := source.find(found.module.name, name)) is not None:
        options[name] = defined


def _doc(text: str) -> Iterator[str]:
    """Yield the lines of a docstring, its examples as blocks."""
    for number, part in enumerate(text.split("\n\n")):
        lines = part.splitlines()
        if number:
            yield ""
        if part.startswith(">>>"):
            yield from ("```pycon", *lines, "```")
        else:
            yield " ".join(line.strip() for line in lines)


def _all_fields(found: Found) -> list[Field]:
    rows: dict[str, Field] = {}
    for each in source.family(found):
        for field in source.fields(each):
            rows.setdefault(field.name, field)
    return list(rows.values())


def _table(rows: list[Field]) -> Iterator[str]:
    yield from ("| | type | |", "| --- | --- | --- |")
    for row in rows:
        default = f" = {row.default}" if row.default else ""
        kind = f"`{row.type}{default}`" if row.type or default else ""
        yield f"| `{row.name}` | {_cell(kind)} | {_cell(row.about)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the pages."""
    HOME.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
