"""What tests of explanations say and ask."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from stream_durable.explain.explained import Explanation


async def explain(run: Any, step: str | None = None) -> Explanation:
    """Return the explanation of a run or step in UTC."""
    found: Explanation = await run.why(step, zone=UTC)
    return found


def same(found: Explanation, code: str, text: str) -> None:
    """Check code and text of an explanation."""
    assert (found.code, str(found)) == (code, text), f"{found.code}: {found}"
