"""What a topic or a group is called on the cluster is decided in one module."""

from __future__ import annotations

import ast

from architecture.sources import modules

HOME = "stream_durable/wire/topics.py"


def joins_a_prefix(text: ast.JoinedStr) -> bool:
    """Whether a prefix, a dot and a name are put together here."""
    return any(
        isinstance(one, ast.FormattedValue)
        and ast.unparse(one.value).endswith("prefix")
        and isinstance(after, ast.Constant)
        and str(after.value).startswith(".")
        and str(after.value) != ".*"
        for one, after in zip(text.values, text.values[1:], strict=False)
    )


def test_a_prefix_and_a_name_are_joined_in_one_module() -> None:
    found = {
        path
        for path, module in modules().items()
        for node in ast.walk(module)
        if isinstance(node, ast.JoinedStr) and joins_a_prefix(node)
    }

    assert found - {HOME} == set()
    assert joins_a_prefix(ast.parse('f"{settings.prefix}.inbox"', mode="eval").body)  # type: ignore[arg-type]
