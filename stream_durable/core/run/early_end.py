"""How a group ends before all of its members have, and why."""

from __future__ import annotations

from stream_durable.core.definition.nodes import AnyNode, BranchNode, ParallelNode
from stream_durable.core.failure import Failure
from stream_durable.core.run.state import Graft, Open
from stream_durable.core.status import COMPLETED, FAILED, SKIPPED


def early_end(node: AnyNode, made: Graft | None, opened: Open, status: str) -> str | None:
    """Return the early end of a group after a member has ended with this status, or None to go on."""
    if made is not None and made.enough is not None:
        if opened.completed >= made.enough:
            return COMPLETED
        return FAILED if opened.completed + opened.left < made.enough else None
    if status != FAILED:
        return None
    return FAILED if type(node) is BranchNode or _is_fail_fast(node, made) else None


def reason(member: str, made: Graft | None, status: str, failure: Failure | None) -> Failure | None:
    """Return why a group has failed: what became of a member, or that too few are left as it was skipped."""
    if status != SKIPPED or made is None:
        return None if failure is None else failure.at(member)
    text = f"{made.enough} must complete, and too few are left: {member!r} was skipped"
    return Failure("not_enough_items", text, retryable=False, step=member)


def _is_fail_fast(node: AnyNode, made: Graft | None) -> bool:
    if made is not None:
        return not made.complete_all
    return type(node) is ParallelNode and node.on_member_error == "fail_fast"
