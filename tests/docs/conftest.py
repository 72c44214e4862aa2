"""Programs that are shown find each other where their files are."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from pages import ROOT


@pytest.fixture(autouse=True)
def among_the_examples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let `shop` mean the example, and not another module that is called so."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "examples")
    other = sys.modules.pop("shop", None)
    yield
    sys.modules.pop("shop", None)
    if other is not None:
        sys.modules["shop"] = other
