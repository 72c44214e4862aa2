"""What the documents say is there: programs, commands, links, codes, messages, tables."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import api_pages
import messages_page
import pytest
import reasons_page
import states_page
from cli_page import commands
from pages import ROOT, Block, anchors, blocks, files, links, pages

from stream_durable import App
from stream_durable.core import lifecycle
from stream_durable.wire.lifecycle import schema

DOCS = ROOT / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
#: Paths of one machine, hosts of one network, and what nobody but the authors would understand.
FORBIDDEN = re.compile(
    r"(?<![\w.])/(?:work|home|root|Users)/|\bsessions?\b|\bissue #?\d|https?://[^\s)]*(?:proxy|mirror|/simple\b)",
    re.IGNORECASE,
)


def python_programs() -> list[Block]:
    """Return the Python blocks that are whole programs: they import what they use.

    Those of a page of the language belong together: see `test_language.py`.
    """
    return [
        block
        for block in blocks("python")
        if "import " in block.text and block.page.parent != DOCS / "language"
    ]


def run(text: str, name: str) -> dict[str, Any]:
    """Run a module's text and return its names; what it does as a program it does not do."""
    module = type(sys)(name)
    sys.modules[name] = module
    try:
        exec(compile(text, name, "exec", dont_inherit=True), module.__dict__)
    finally:
        del sys.modules[name]
    return module.__dict__


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.place)
def test_python_compiles(block: Block) -> None:
    ast.parse(block.text, block.place)


@pytest.mark.parametrize("block", python_programs(), ids=lambda block: block.place)
def test_programs_load_and_their_workflows_are_valid(block: Block) -> None:
    apps = [value for value in run(block.text, "shown").values() if isinstance(value, App)]
    assert apps or not re.search(r"\bApp\(", block.text)
    for app in apps:
        assert app.definitions()


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_is_shown_as_it_is(file: Path) -> None:
    assert file.read_text() in {block.text for block in python_programs()}


def stream_durable_calls() -> list[tuple[str, list[str]]]:
    """Return where the documents call our command line, and with what."""
    found = []
    for block in blocks("sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if "stream-durable" in words:
                found.append((block.place, words[words.index("stream-durable") + 1 :]))
    return found


@pytest.mark.parametrize(("place", "words"), stream_durable_calls())
def test_commands_that_are_shown_exist_with_their_options(place: str, words: list[str]) -> None:
    known = commands()
    name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
    assert name in known, f"{place}: there is no command {' '.join(words)}"
    command = known[name]
    options = {option for p in command.params for option in [*p.opts, *p.secondary_opts]}
    given = {word for word in words if word.startswith("--")}
    assert given <= options, f"{place}: {name} has no {', '.join(given - options)}"


@pytest.mark.parametrize("text", sorted(set(re.findall(r"`stream-durable ([a-z][^`]*)`", "\n".join(
    page.read_text() for page in pages())))))  # fmt: skip
def test_commands_that_are_mentioned_exist(text: str) -> None:
    words = text.split()
    known = {*commands(), *(name.split()[0] for name in commands())}
    assert words[0] in known


def test_the_page_of_commands_has_them_all() -> None:
    page = (DOCS / "reference" / "cli.md").read_text()
    missing = [name for name in commands() if f"\n## {name}\n" not in page]
    assert not missing, "run `python tests/docs/cli_page.py > docs/reference/cli.md`"


def test_the_reference_of_the_api_is_that_of_the_code() -> None:
    written = api_pages.pages()
    assert {
        path for path, text in written.items() if not path.exists() or path.read_text() != text
    } == set(), "run `python tests/docs/api_pages.py`"
    assert set(api_pages.HOME.iterdir()) == set(written) - {api_pages.HOME.with_suffix(".md")}


def test_the_reference_of_the_api_has_what_callers_see() -> None:
    import stream_durable

    page = (api_pages.HOME / "workflows.md").read_text()
    assert not [name for name in stream_durable.__all__ if f"\n## {name}\n" not in page]
    assert (
        "### Workflow.wait_event\n" in page
        and "    key: str,\n    take: bool = False,\n    timeout: Duration | None = None,\n" in page
    )
    assert "\n## StepOptions\n" in page and "| `takes` |" in page


def test_the_pictures_of_states_are_those_of_the_tables() -> None:
    page = (DOCS / "explanation" / "states.md").read_text()
    assert page == states_page.page(), "run `python tests/docs/states_page.py > docs/explanation/states.md`"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.relative_to(ROOT)} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.relative_to(ROOT)} links to {link}"


def test_every_page_is_linked() -> None:
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in pages() for link in links(page)}
    lost = [page for page in pages() if page.resolve() not in linked]
    assert not lost


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_the_repository_speaks_of_the_product_alone(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    # Kafka has the word in the name of a setting, and the API in that of a route.
    text = re.sub(r"session_timeout_ms|session timeout|POST /session", "", text)
    found = [match[0] for match in FORBIDDEN.finditer(text)]
    assert not found


def test_the_page_of_messages_says_what_the_code_says() -> None:
    remedy = "run `python tests/docs/messages_page.py > docs/reference/messages.md`"
    assert messages_page.page() == (DOCS / "reference" / "messages.md").read_text(), remedy


def test_the_page_of_reasons_says_what_the_code_says() -> None:
    remedy = "run `python tests/docs/reasons_page.py > docs/reference/reasons.md`"
    assert reasons_page.page() == (DOCS / "reference" / "reasons.md").read_text(), remedy


def test_every_public_event_has_a_meaning_and_the_schemas_say_it() -> None:
    types = {value for name, value in vars(lifecycle).items() if re.match(r"(RUN|STEP)_[A-Z_]+$", name)
             and isinstance(value, str)}  # fmt: skip
    assert types == set(lifecycle.MEANINGS) and len(types) > 15
    for kind, before in ((lifecycle.RunEvent, "run."), (lifecycle.StepEvent, "step.")):
        said = "; ".join(f"{t}: {text}" for t, text in lifecycle.MEANINGS.items() if t.startswith(before))
        (doc,) = [field["doc"] for field in schema(kind)["fields"] if field["name"] == "type"]
        assert doc == f"What happened. {said}. New types may come: pass over one that you do not know."


def test_the_example_of_a_reader_knows_all_ends_of_a_run() -> None:
    text = (DOCS / "examples" / "downstream.py").read_text()
    assert set(run(text, "downstream")["ENDED"]) == set(lifecycle.RUN_EVENTS.values())


def test_the_messages_shown_are_those_of_the_golden_files() -> None:
    golden = ROOT / "tests" / "wire" / "golden"
    lines = {line for file in golden.glob("*.jsonl") for line in file.read_text().splitlines()}
    page = DOCS / "reference" / "messages.md"
    text = page.read_text()
    before, _, after = text.partition("## The events topic")
    shown = {block.text.strip() for block in blocks("json") if block.page == page and block.text in before}
    assert shown and shown <= lines
    types = {json.loads(line)["type"] for line in lines}
    assert {json.loads(line)["type"] for line in shown} == types
    assert after


def test_what_may_be_written_to_the_events_topic_is_taken() -> None:
    from stream_durable.wire.records import read

    page = DOCS / "reference" / "messages.md"
    [block] = [b for b in blocks("json") if b.page == page and '{"start": ' in b.text.replace('":"', '": "')]
    for line in block.text.splitlines():
        assert read(None, line.encode(), None, own_id="0-0", ttl_ms=1_000)
    [echo] = [line for b in blocks("sh") for line in b.text.splitlines() if line.startswith('echo \'{"type"')]
    assert read(b"42", shlex.split(echo)[1].encode(), None, own_id="0-1", ttl_ms=1_000)


CODES = re.compile(
    r"(?:RejectedError|Failure|Fault|LoadError|self\.fault|\bfault|options\.fault|HandoverError)\(\s*"
    r'(?:None, |cycle\[0\], |node\.name, |name, |None, name, )?"([a-z]+(?:_[a-z]+)*)"'
)


def test_the_page_of_codes_has_them_all() -> None:
    page = (DOCS / "reference" / "errors.md").read_text()
    package = ROOT / "stream_durable"
    skipped = {
        *(package / "settings").rglob("*.py"),
        *(package / "testing").rglob("*.py"),
        *(package / "memory").rglob("*.py"),
        *(package / "simulation").rglob("*.py"),
        *(package / "bench").rglob("*.py"),
    }
    found = {
        code
        for file in package.rglob("*.py")
        if file not in skipped
        for code in CODES.findall(file.read_text())
    }
    assert len(found) > 50
    missing = sorted(code for code in found if f"`{code}`" not in page)
    assert not missing, "docs/reference/errors.md does not say what these mean"


def test_the_page_of_tables_has_them_all() -> None:
    page = (DOCS / "reference" / "schema.md").read_text()
    postgres = ROOT / "stream_durable" / "postgres"
    text = "".join(file.read_text() for file in sorted(postgres.rglob("*.sql")))
    tables = re.findall(r"create (?:table|view)(?: if not exists)? (\w+)", text)
    assert len(tables) > 8
    assert not [table for table in tables if f"`{table}`" not in page]


def test_the_page_of_topics_has_them_all() -> None:
    from stream_durable.kafka.topic_rules import wanted
    from stream_durable.settings import Settings

    page = (DOCS / "reference" / "topics.md").read_text()
    for topic in wanted(Settings(), ("<queue>",)):
        assert f"| `{topic.name}` |" in page


def test_the_page_of_topics_says_who_writes_them() -> None:
    from stream_durable.wire.topics import WRITES

    page = (DOCS / "reference" / "topics.md").read_text()
    said = dict(re.findall(r"^\| `sd\.(\w+\.?)\S*` \|(?:[^|]*\|){3}([^|]*)\|[^|]*\|$", page, re.MULTILINE))
    assert len(said) == 10
    for role, topics in WRITES.items():
        assert {name for name, by in said.items() if role in by or "all processors" in by} == topics


def test_the_files_in_the_life_of_a_run_exist() -> None:
    text = (DOCS / "explanation" / "life-of-a-run.md").read_text()
    named = re.findall(r"`([a-z_]+/[a-z_/]+\.(?:py|sql))`", text)
    assert len(named) > 15
    assert not [name for name in named if not (ROOT / "stream_durable" / name).is_file()]
