"""Docstrings get plainer, never less so: see `prose.py`, which prints the worst of them."""

from __future__ import annotations

import pytest

from architecture.prose import Docstring, Share, docstrings, share_of, worst

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
