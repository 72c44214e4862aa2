"""Docstrings get plainer, never less so: see `prose.py`, which prints the worst of them."""

from __future__ import annotations

import re

import pytest

from architecture.prose import RIDDLES, Docstring, Share, docstrings, share_of, worst
from architecture.sources import ROOT

#: Relative words and pronouns per 100 words: what is reached, with a little room. The aims are 2 and 3.
RELATIVE_MAX, PRONOUNS_MAX = 1.2, 3.0


@pytest.mark.parametrize(
    ("text", "share"),
    [("Say what it came to.", Share(5, 1, 1)), ("Return the result.", Share(3, 0, 0)),
     ("Call `what_it(takes)` of those that", Share(5, 1, 1)), ("Whose? Theirs.", Share(2, 1, 1))],
)  # fmt: skip
def test_words_are_counted(text: str, share: Share) -> None:
    assert share_of([text]) == share


def test_the_worst_come_first() -> None:
    plain, riddle = Docstring("a", "Return the result."), Docstring("b", "Say what it is that it came to.")

    assert [doc for _, doc in worst([plain, riddle])] == [riddle, plain]


def test_docstrings_do_not_become_less_plain() -> None:
    share = share_of(doc.text for doc in docstrings())

    hint = "python tests/architecture/prose.py prints the worst docstrings"
    assert share.relative_share <= RELATIVE_MAX, hint
    assert share.pronoun_share <= PRONOUNS_MAX, hint


def riddles_in(text: str) -> list[str]:
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL).lower()
    return [word for word in RIDDLES if re.search(rf"\b{word}\b", prose)]


def test_a_riddle_is_found_outside_of_code() -> None:
    assert riddles_in("Made `told` anew.") == ["anew"]


def test_docstrings_speak_plainly() -> None:
    faults = [
        f"{doc.place}: {word!r}: {RIDDLES[word]}" for doc in docstrings() for word in riddles_in(doc.text)
    ]

    assert not faults, "\n".join(faults)


def test_pages_speak_plainly() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

    faults = {
        f"{page.relative_to(ROOT)}: {word!r}: {RIDDLES[word]}"
        for page in pages
        for word in riddles_in(page.read_text(encoding="utf-8"))
    }

    assert len(pages) > 30
    assert not faults, "\n".join(sorted(faults))
