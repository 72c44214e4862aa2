"""Names of generated steps: members of a step, and helpers beside a step.

`resize[3]` is a member of `resize`, and `resize~2[3]` a member from the second time `resize` began.
`charge~compensate` helps `charge`, and `~on_failure` the run itself.
`follow_up/rating` is inside `follow_up`: what its function waits for, or keeps.
"""

from __future__ import annotations

from typing import Final


def is_made(name: str) -> bool:
    """Return whether a step of this name was added at run time, and may be gone after a reset."""
    return name.endswith("]") or "~" in name or is_inner(name)


def member(group: str, which: object) -> str:
    """Return the name of a member; `group` is the common prefix, `which` the number or the own name."""
    return f"{group}[{which}]"


def group_name(group: str, turn: int) -> str:
    """Return the common prefix of the members added in this round."""
    return group if turn == 1 else f"{group}~{turn}"


def is_member(name: str) -> bool:
    """Return whether a step of this name is a member added at run time."""
    return name.endswith("]")


def may_name_member(name: str) -> bool:
    """Return whether an author may give this name to a member: no special characters."""
    return not ("[" in name or "]" in name or "~" in name)


def defined_name(name: str) -> str:
    """Return the step of the definition behind a step, at any depth; empty for the run."""
    return name.partition("[")[0].partition("~")[0].partition("/")[0]


def undo_name(step: str) -> str:
    """Return the name of a step's compensation."""
    return step + _UNDO


def is_undo(name: str) -> bool:
    """Return whether a step of this name is a compensation."""
    return name.endswith(_UNDO)


def hook_name(kind: str, step: str = "", attempt: int = 0) -> str:
    """Return the name of a hook: of the run, of a step, or of an attempt."""
    name = f"{step}~{kind}"
    return f"{name}.{attempt}" if attempt else name


def due_name(step: str = "") -> str:
    """Return the name of the timer for the moment by which a step, or the run, is expected to have ended."""
    return step + _DUE


def is_due(timer: str) -> bool:
    """Return whether a timer is for the moment by which an end is expected."""
    return timer.endswith(_DUE)


def dated(timer: str) -> str:
    """Return the step that such a timer is for; empty for the run."""
    return timer.removesuffix(_DUE)


def beside_name(kind: str, slot: int | None = None) -> str:
    """Return the name of a function beside the graph, or of one of the steps in which it is called."""
    return f"~{kind}" if slot is None else f"~{kind}.{slot}"


def hook_kind(name: str) -> str:
    """Return the kind of a hook from the name."""
    return name.removeprefix("~")


def is_helper(name: str) -> bool:
    """Return whether a step of this name is a hook or a compensation."""
    return "~" in name and not is_member(name) and not is_inner(name)


#: Members of a group that are shown one by one to people; more are counted.
MEMBERS_MAX: Final = 20


def group_of(name: str) -> str | None:
    """Return the group of a member, from the member's name; None for other steps.

    >>> group_of("resize[3]"), group_of("resize")
    ('resize', None)
    """
    group, bracket, _ = name.partition("[")
    return group if bracket and not is_helper(name) else None


def helped(name: str) -> str:
    """Return the step of a helper, or the one around an inner step; empty for the run."""
    return outer(name) if is_inner(name) else name.rpartition("~")[0]


def inner(step: str, name: str) -> str:
    """Return the name of an inner step."""
    return f"{step}/{name}"


def is_inner(name: str) -> bool:
    """Return whether a step of this name is inside another; an author's name of a member may have a slash."""
    return "/" in name.rpartition("]")[2]


def outer(name: str) -> str:
    """Return the step around an inner step."""
    return name.rpartition("/")[0]


def helper_kind(name: str) -> str:
    """Return the kind of a helper: `compensate`, or a kind of hook."""
    return name.rpartition("~")[2].partition(".")[0]


def results_key(step: str) -> str:
    """Return the key within a command for the members' results."""
    return f"{step}~results"


#: The inner step that holds how far a function has come; no author can give this name.
CHECKPOINT = "@checkpoint"
UNDO_KIND = "compensate"
_UNDO = f"~{UNDO_KIND}"
_DUE = "~due"
