"""Names of generated steps: members of a step, and helpers beside a step.

`resize[3]` is a member of `resize`, and `resize~2[3]` a member from the second time `resize` began.
`charge~compensate` helps `charge`, and `~on_failure` the run itself.
"""

from __future__ import annotations


def is_made(name: str) -> bool:
    """Say whether a step of this name was made at run time: it may be gone, for its maker has begun anew."""
    return name.endswith("]") or "~" in name


def member(group: str, which: object) -> str:
    """Return the name of a member; `group` is what all begin with, `which` its number or its own name."""
    return f"{group}[{which}]"


def group_name(group: str, turn: int) -> str:
    """Return what the names of the members begin with that a step got in this turn."""
    return group if turn == 1 else f"{group}~{turn}"


def is_member(name: str) -> bool:
    """Say whether a step of this name is a member that another one got at run time."""
    return name.endswith("]")


def may_name_member(name: str) -> bool:
    """Say whether an author may give this name to a member: it holds nothing that means something here."""
    return not ("[" in name or "]" in name or "~" in name)


def defined_name(name: str) -> str:
    """Return the step of the definition that a step comes from, however deep; empty: it is the run itself."""
    return name.partition("[")[0].partition("~")[0]


def undo_name(step: str) -> str:
    """Return the name of what undoes a step."""
    return step + _UNDO


def is_undo(name: str) -> bool:
    """Say whether a step of this name undoes another one."""
    return name.endswith(_UNDO)


def hook_name(kind: str, step: str = "", attempt: int = 0) -> str:
    """Return the name under which a hook is called: for the run, for a step, or for one attempt of it."""
    name = f"{step}~{kind}"
    return f"{name}.{attempt}" if attempt else name


def hook_kind(name: str) -> str:
    """Return the kind of a hook by its name."""
    return name.removeprefix("~")


def is_helper(name: str) -> bool:
    """Say whether a step of this name is a hook or undoes another one."""
    return "~" in name and not is_member(name)


def helped(name: str) -> str:
    """Return the step that a helper of this name is for; empty: the run itself."""
    return name.rpartition("~")[0]


def helper_kind(name: str) -> str:
    """Return what a helper is: `compensate`, or which hook."""
    return name.rpartition("~")[2].partition(".")[0]


def results_key(step: str) -> str:
    """Return under which name a command hands over what each member of a step came to."""
    return f"{step}~results"


UNDO_KIND = "compensate"
_UNDO = f"~{UNDO_KIND}"
