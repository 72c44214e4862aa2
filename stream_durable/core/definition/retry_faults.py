"""Faults of retry policies."""

from __future__ import annotations

from collections.abc import Iterator

from stream_durable.core.policy import RetryPolicy


def retry_faults(policy: RetryPolicy) -> Iterator[tuple[str, str]]:
    """Return faults of a policy as codes and sentences, without naming its owner."""
    if policy.attempts < 1:
        yield "attempts", "there must be at least one attempt"
    if not 0 <= policy.jitter <= 1:
        yield "jitter", "jitter is a share between 0 and 1"
    if min(policy.base_ms, policy.cap_ms) < 0:
        yield "delay", "the delay between two attempts cannot be less than nothing"
    elif policy.cap_ms < policy.base_ms:
        yield (
            "cap",
            f"the first delay is {policy.base_ms} ms, but none may be above its cap of {policy.cap_ms} ms",
        )
    for code in policy.on:
        if code in policy.not_on:
            yield "contradiction", f"failures with code {code!r} are to be tried again and not to be"
