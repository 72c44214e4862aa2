"""Families as a tree, however deep and wide."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType

from stream_durable.cli.history import _branch, _lines
from stream_durable.cli.output import Format, show_one
from stream_durable.client import Member, RunEntry

NOW = datetime(2030, 1, 1, tzinfo=UTC)
#: So many generations there are at most.
DEEP, WIDE = 101, 10_000


def member(name: str) -> Member:
    run = RunEntry(
        name, "flow", "f", "running", NOW, NOW, None, 0, 1, (), None, None, 0, MappingProxyType({}), "parent",
        None, None, 1,
    )  # fmt: skip
    return Member(run)


def chain(generations: int) -> Member:
    first = last = member("d0")
    for n in range(1, generations):
        last.children.append(member(f"d{n}"))
        last = last.children[0]
    return first


def test_a_deep_family_is_a_tree_for_people_and_for_programs() -> None:
    lines = list(_lines(chain(DEEP), "d100"))
    assert len(lines) == DEEP
    assert lines[-1] == f"{'   ' * 99}└─ d100  flow  running  0/1  <- this one"
    show_one({**_branch(chain(DEEP)), "is_whole": True}, Format.JSON)


def test_no_depth_breaks_a_tree() -> None:
    assert sum(1 for _ in _lines(chain(5_000), "")) == 5_000
    assert _branch(chain(5_000))["children"][0]["id"] == "d1"


def test_a_wide_family_keeps_its_order_and_marks_the_last() -> None:
    first = member("top")
    first.children.extend(member(f"w{n}") for n in range(WIDE))
    first.children[0].children.append(member("below"))
    lines = list(_lines(first, "top"))
    assert len(lines) == WIDE + 2
    assert lines[1:4] == [
        "├─ w0  flow  running  0/1", "│  └─ below  flow  running  0/1", "├─ w1  flow  running  0/1",
    ]  # fmt: skip
    assert lines[-1].startswith("└─ w9999")
