"""Workflows and runs as Mermaid, Graphviz and text."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from growth import grows_with
from picture_world import EVERYTHING, STATES, Stands, failed, of, step

from stream_durable.core.definition.nodes import BranchNode, Definition, EventNode, ParallelNode
from stream_durable.pictures import graphviz, mermaid, text

Draw = Callable[..., str]
ALL: list[Draw] = [mermaid, graphviz, text]
NASTY = 'a "quoted" <b>&amp; | ] } %% \\n `code` #35;\n\r\u2028\x1b[31m end'


def boxes(drawn: str) -> dict[str, str]:
    """Return the keys of a Mermaid picture, by what is written first in the box."""
    found = re.findall(r'^ +(?:subgraph )?(\w+) ?[\[({>/]*"([^"]*)"', drawn, re.MULTILINE)
    return {label.partition("<br/>")[0]: key for key, label in found}


def row(drawn: str, name: str) -> str:
    """Return the line of a step in text, its blanks made one."""
    (found,) = [line for line in drawn.splitlines() if line.split()[:1] == [name]]
    return " ".join(found.split())


@pytest.mark.parametrize("draw", ALL)
def test_everything_is_in_the_picture(draw: Draw) -> None:
    drawn = draw(EVERYTHING, STATES)

    for word in [*(node.name for node in EVERYTHING.nodes), "charge~compensate", "scan", "on_failure"]:
        assert word in drawn
    for word in [
        "digital",
        "7",
        "otherwise",
        "any 1 of",
        "however it ends",
        "1 h 30 min",
        "queue gpu",
        "(warehouse) for a choice",
    ]:
        assert word in drawn
    assert "3 members: 2 completed, 1 failed" in drawn
    assert "order-42//invoice" in drawn
    assert "failed (declined), attempt 3" in drawn


@pytest.mark.parametrize("draw", ALL)
def test_a_picture_is_the_same_each_time(draw: Draw) -> None:
    assert draw(EVERYTHING, STATES) == draw(EVERYTHING, dict(reversed(STATES.items())))


@pytest.mark.parametrize("draw", ALL)
def test_a_workflow_without_a_run_has_no_colours_and_no_states(draw: Draw) -> None:
    drawn = draw(EVERYTHING)

    assert "completed" not in drawn
    assert "classDef" not in drawn


@pytest.mark.parametrize("draw", ALL)
def test_steps_are_drawn_at_a_cost_in_proportion_to_their_number(draw: Draw) -> None:
    def drawing(count: int) -> Callable[[], str]:
        group = ParallelNode(name="all")
        members = [step(f"m{i}", member_of="all") for i in range(count // 2)]
        chain = [step(f"c{i}", f"c{i - 1}" if i else "all") for i in range(count // 2)]
        large = of(group, *members, *chain)
        states = {node.name: Stands("completed") for node in large.nodes}
        return lambda: draw(large, states)

    assert drawing(10_000)().count("\n") >= 10_000
    assert grows_with(drawing, 10_000)


def test_mermaid_colours_what_is_known_of_a_run() -> None:
    drawn = mermaid(EVERYTHING, STATES)
    keys = boxes(drawn)

    assert drawn.startswith('---\ntitle: "order"\n---\nflowchart TD\n')
    assert f'{keys["reserve"]}["reserve<br/>completed"]:::completed\n' in drawn
    assert f"  class {keys['kind']} running\n" in drawn
    assert "classDef failed fill:#" in drawn
    assert "classDef skipped" not in drawn


def test_mermaid_draws_each_arrow_once() -> None:
    drawn = mermaid(EVERYTHING)
    keys = boxes(drawn)
    arrows = re.findall(r"^  (\w+) (-->|-\.->)(?:\|\"([^\"]*)\"\|)? (\w+)$", drawn, re.MULTILINE)

    assert len(arrows) == len(set(arrows))
    assert (keys["reserve"], "-->", "", keys["charge"]) in arrows
    assert (keys["charge"], "-.->", "however it ends", keys["clean"]) in arrows
    assert (keys["charge"], "-.->", "undone by", keys["charge~compensate"]) in arrows
    assert (keys["checks"], "-->", "", keys["ship"]) in arrows
    assert (keys["any 1 of 2"], "-->", "", keys["ship"]) in arrows
    assert [label for _, _, label, target in arrows if target == keys["pack"]] == ["7"]
    assert [label for _, _, label, target in arrows if target == keys["hand_over"]] == [""]


def test_members_of_a_group_are_drawn_inside_of_it() -> None:
    nested = of(ParallelNode(name="outer"), ParallelNode(name="inner", member_of="outer"),
                step("leaf", member_of="inner"))  # fmt: skip
    lines = mermaid(nested).splitlines()
    outer, inner = (
        next(i for i, line in enumerate(lines) if f'["{name}' in line) for name in ("outer", "inner")
    )
    leaf = next(i for i, line in enumerate(lines) if '["leaf' in line)

    assert outer < inner < leaf
    assert [len(lines[i]) - len(lines[i].lstrip()) for i in (outer, inner, leaf)] == [2, 4, 6]
    assert sum(line.strip() == "end" for line in lines) == 2


def nasty() -> Definition:
    case = NASTY.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    case = case.replace("\x1b", "\\u001b")
    made: Definition = of(
        BranchNode(name="end", on="input.kind", cases=(f'"{case}"', '"1. first"')),
        step("_graph_", member_of="end"),
        step("a.b:c-d", member_of="end", clause=1),
        EventNode(name="e", event="p", key="input.x", timeout_ms=5, on_timeout='{"a": "%%{init}%%"}'),
    )
    return made


def test_mermaid_hands_nothing_on_that_it_would_read_as_its_own() -> None:
    drawn = mermaid(nasty(), {"_graph_": failed('<script>"')})
    body = drawn.split("flowchart TD\n")[1]

    for text_ in re.findall(r'"([^"]*)"', body):
        plain = re.sub(r"#\d+;|<br/>", "", text_)
        assert not re.search(r"[<>&\"#`*|\[\]{}\\]|[\x00-\x1f\u2028]", plain), text_
    assert all(line.count('"') % 2 == 0 for line in body.splitlines())
    assert "#95;graph_" in body
    assert "1#46; first" in body
    assert "\x1b" not in drawn


def test_graphviz_quotes_whatever_is_written() -> None:
    drawn = graphviz(nasty(), {"_graph_": failed('<script>"\\')})
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", drawn)

    assert '"' not in outside
    assert not re.search(
        r"[<`\x1b\u2028]", drawn.replace("<script>", "").replace("<b>", "").replace("`code`", "")
    )
    assert outside.count("{") == outside.count("}") == 2


def test_graphviz_shows_edges_of_other_kinds_otherwise() -> None:
    drawn = graphviz(EVERYTHING, STATES)

    assert re.search(r"s1 -> s\d+ \[label=\"however it ends\" style=dashed\]", drawn)
    assert re.search(r"s1 -> s1u \[label=\"undone by\" style=dotted\]", drawn)
    assert re.search(r"s10 -> s14 \[ltail=cluster_g10\]", drawn)
    assert 'fillcolor="#d3f9d8"' in drawn


def test_text_is_read_without_colours() -> None:
    drawn = text(EVERYTHING, STATES)

    assert "\x1b" not in drawn
    assert row(drawn, "charge") == "charge failed (declined), attempt 3 after reserve up to 5 attempts"
    assert row(drawn, "charge~compensate") == "charge~compensate completed undoes charge"
    assert row(drawn, "ship") == "ship after checks, any 1 of (go, cool, the rest is cancelled)"
    assert row(drawn, "clean") == "clean after charge however it ends, resize"
    assert row(drawn, "on_failure") == "on_failure retrying, attempt 2"
    assert row(drawn, "ask") == "ask may fail"


def test_text_lists_members_below_their_group_and_clause_by_clause() -> None:
    names = [line.split()[0] for line in text(EVERYTHING).splitlines()]
    kind, end = names.index("kind"), names.index("checks")

    assert names[kind + 1 : end] == ["digital:", "email", "7:", "pack", "hand_over", "otherwise:", "ask"]


def test_text_lists_steps_in_an_order_in_which_they_can_run() -> None:
    late = of(step("last", "first"), step("first"), step("middle", "first"))

    assert [line.strip().split()[0] for line in text(late).splitlines()[1:]] == ["first", "last", "middle"]


def test_text_for_a_terminal_says_the_same_in_colours() -> None:
    drawn = text(EVERYTHING, STATES, is_coloured=True)

    assert "\x1b[31mfailed (declined), attempt 3\x1b[0m" in drawn
    assert re.sub(r"\x1b\[\d+m", "", drawn) == text(EVERYTHING, STATES)


def test_no_row_of_text_ends_in_blanks_or_breaks() -> None:
    lines = text(nasty(), {"e": failed("x\ny")}).split("\n")

    assert all(line == line.rstrip() for line in lines)
    assert [line.split()[0] for line in lines if line][-1] == "e"


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0, "0 ms"), (999, "999 ms"), (1_500, "1.5 s"), (60_000, "1 min"), (90_000, "1 min 30 s"),
     (5_400_000, "1 h 30 min"), (172_800_000, "2 d"), (90_061_001, "1 d 1 h")],
)  # fmt: skip
def test_durations_are_written_as_people_write_them(ms: int, words: str) -> None:
    from stream_durable.pictures.notes import lasting

    assert lasting(ms) == words
