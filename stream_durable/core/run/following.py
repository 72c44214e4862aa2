"""From a merged run to the taker: waiting parents, and signals."""

from __future__ import annotations

from msgspec import Raw

from stream_durable.core.effects import Effects
from stream_durable.core.failure import Failure
from stream_durable.core.format import ADMISSIONS
from stream_durable.core.messages import ChildEnded, RunFollowed, SignalRun
from stream_durable.core.run import children
from stream_durable.core.run.entering import entry_of, made_entry, taker_of
from stream_durable.core.run.entry import Follower
from stream_durable.core.run.state import Run, raw_or_null
from stream_durable.core.status import FAILED, MERGED, Outcome

#: Parents that one run tells its end on behalf of others.
FOLLOWERS_MAX = 1_000


def followed(run: Run, message: RunFollowed, now: int, out: Effects) -> Outcome:
    """Report the end of the run to a parent as the end of the child: now, or later."""
    if run.status == MERGED:
        out.messages.append(_redirected(message, _into(run)))
        return Outcome.APPLIED
    if run.has_ended:
        out.messages.append(_ended(run, message.parent, message.parent_step, message.child))
        return Outcome.APPLIED
    entry = made_entry(run)
    follower = Follower(message.parent, message.parent_step, message.child)
    if follower in entry.followers:
        return Outcome.DUPLICATE
    if len(entry.followers) >= FOLLOWERS_MAX:
        text = f"it was merged into run {run.id!r}, which {FOLLOWERS_MAX} parents wait for already"
        failure = Failure("too_many_followers", text, retryable=False)
        out.messages.append(
            ChildEnded(
                key=message.parent, step=message.parent_step, child=message.child, status=FAILED,
                failure=failure,
            )
        )  # fmt: skip
        return Outcome.APPLIED
    entry.followers.append(follower)
    requests = run.requests
    assert requests is not None
    requests.picks = tuple(dict.fromkeys((*requests.picks, *message.picks)))
    return Outcome.APPLIED


def hand_over(run: Run, into: str, now: int, out: Effects) -> None:
    """Give parents and kept signals of a merged run to the taker."""
    entry = entry_of(run)
    for follower in () if entry is None else entry.followers:
        out.messages.append(
            RunFollowed(
                key=into, parent=follower.parent, parent_step=follower.step, child=follower.child,
                picks=() if run.requests is None else run.requests.picks, format=ADMISSIONS,
            )
        )  # fmt: skip
    if run.mail is None:
        return
    for kept in run.mail.kept.values():
        if not kept.is_over(now):
            ttl_ms = None if kept.expires is None else kept.expires - now
            out.messages.append(
                SignalRun(
                    key=into, id=kept.id, signal=kept.name, data=Raw(kept.data), by=kept.by, ttl_ms=ttl_ms
                )
            )
    run.payload -= run.mail.drop({kept.name for kept in run.mail.kept.values()})


def forward(run: Run, message: SignalRun, out: Effects) -> None:
    """Give a signal for a merged run to the taker."""
    out.messages.append(
        SignalRun(
            key=_into(run), id=message.id, signal=message.signal, data=message.data, by=message.by,
            ttl_ms=message.ttl_ms,
        )
    )  # fmt: skip


def tell_followers(run: Run, out: Effects) -> None:
    """Report the end of the run to the parents of merged runs."""
    entry = entry_of(run)
    for follower in () if entry is None or run.status == MERGED else entry.followers:
        out.messages.append(_ended(run, follower.parent, follower.step, follower.child))


def tell_parent(run: Run, out: Effects) -> None:
    """Report the end of the run to a waiting step; after a merge the step waits on for the taker."""
    if run.status != MERGED:
        children.tell_parent(run, out)
    elif run.parent is not None and run.parent_step is not None and _is_awaited(run):
        out.messages.append(
            RunFollowed(
                key=_into(run), parent=run.parent, parent_step=run.parent_step, child=run.id,
                picks=() if run.requests is None else run.requests.picks, format=ADMISSIONS,
            )
        )  # fmt: skip


def lost(message: RunFollowed, reason: str) -> ChildEnded:
    """Return the message to a parent after a merge of the child into a missing run."""
    failure = Failure("unknown_run", reason, retryable=False)
    return ChildEnded(
        key=message.parent, step=message.parent_step, child=message.child, status=FAILED, failure=failure
    )


def _is_awaited(run: Run) -> bool:
    return run.requests is None or run.requests.is_awaited


def _into(run: Run) -> str:
    into = taker_of(run.requests)
    assert into is not None, "a merged run was taken in"
    return into


def _ended(run: Run, parent: str, step: str, child: str) -> ChildEnded:
    return ChildEnded(
        key=parent, step=step, child=child, status=run.status, output=raw_or_null(run.output),
        failure=run.failure,
    )  # fmt: skip


def _redirected(message: RunFollowed, into: str) -> RunFollowed:
    return RunFollowed(
        key=into, parent=message.parent, parent_step=message.parent_step, child=message.child,
        picks=message.picks, format=ADMISSIONS,
    )  # fmt: skip
