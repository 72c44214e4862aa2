"""The items of group members."""

from __future__ import annotations

from msgspec import Raw

from stream_durable.core.definition.nodes import EachNode
from stream_durable.core.definition.paths import items_at, root_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.run.groups import graft_of
from stream_durable.core.run.state import Run
from stream_durable.core.run.values import root_value


def item_of(run: Run, i: int) -> Raw | None:
    """Return the item of a member; refuse an item removed from the input since."""
    owner = run.graph.owner(i)
    if owner < 0:
        return None
    made = graft_of(run, owner)
    if made is None:
        return None
    position = i - run.graph.members[owner][0]
    if made.steps:
        return made.steps[position].item
    if run.items is None:
        run.items = {}
    items = run.items.get(owner)
    if items is None:
        node = run.graph.nodes[owner]
        assert type(node) is EachNode
        items = run.items[owner] = items_at(node.over, root_value(run, root_of(node.over)))
    if position < len(items):
        return items[position]
    node = run.graph.nodes[owner]
    assert type(node) is EachNode
    text = f"{made.count} steps were made for the items at {node.over!r}, and now it has {len(items)}"
    raise RejectedError("no_item", f"{text}: change the input so that step {run.graph.names[i]!r} has one")
