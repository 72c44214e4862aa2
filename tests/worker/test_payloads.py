"""Large outputs are kept elsewhere; what is handed on is found there."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from worker_site import Site, raw, value, working

from stream_durable import Context, Workflow
from stream_durable.core.messages import AttemptCompleted, AttemptFinished
from stream_durable.core.reference import is_reference, parse
from stream_durable.memory.broker import Broker
from stream_durable.memory.ports import MemoryBlobs
from stream_durable.payloads import Payloads
from stream_durable.sdk.answers import Finish

INLINE = 1_000
LARGE = {"kind": "digital", "text": "x" * 5_000, "list": [1, 2]}


class Morning:
    def now(self) -> int:
        return 0


class CountedBlobs(MemoryBlobs):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__(Broker(Morning(), 4))
        self.gets = 0

    async def get(self, partition: int, offset: int) -> bytes | None:
        self.gets += 1
        return await super().get(partition, offset)


def flow_of(function: Any) -> Workflow:
    flow = Workflow("flow")
    flow.add("large", lambda: LARGE)
    flow.add("a", function, after="large")
    return flow


async def reference_of(site: Site, **fields: Any) -> Raw:
    site.ask("large", **fields)
    end = await site.end()
    site.said.clear()
    return Raw(bytes(end.output))


def worker_that(function: Any) -> Any:
    return working(flow_of(function), payload_inline_bytes_max=INLINE)


async def test_an_output_above_the_bound_is_a_reference_with_what_is_picked_of_it() -> None:
    async with worker_that(lambda: None) as site:
        reference = bytes(await reference_of(site, picks=("kind", "list.1", "missing.there")))
        where = parse(reference)
        kept = await site.blobs.get(where.partition, where.offset)

    assert is_reference(reference)
    assert where.picked == {"kind": "digital", "list.1": 2}
    assert kept is not None
    assert (len(kept), value(Raw(kept))) == (where.size, LARGE)


async def test_an_output_up_to_the_bound_is_not() -> None:
    async with worker_that(lambda: "x" * (INLINE - 2)) as site:
        site.ask("a")
        end = await site.end()

    assert len(bytes(end.output)) == INLINE
    assert not is_reference(bytes(end.output))


async def test_what_finishes_a_run_may_be_large_too() -> None:
    async with worker_that(lambda: Finish(LARGE)) as site:
        site.ask("a")
        end = await site.end()

    assert isinstance(end, AttemptFinished)
    assert is_reference(bytes(end.output))


@pytest.mark.parametrize(
    ("around", "found"),
    [
        (lambda one: one, LARGE),
        (lambda one: [1, value(one)], [1, LARGE]),
        (
            lambda one: {"m": {"output": value(one)}, "n": {"skipped": True}},
            {"m": {"output": LARGE}, "n": {"skipped": True}},
        ),
        (
            lambda one: {"g": {"output": {"m": {"output": [value(one)]}}}},
            {"g": {"output": {"m": {"output": [LARGE]}}}},
        ),
    ],
)
async def test_references_are_replaced_wherever_they_stand(around: Any, found: Any) -> None:
    def looks(ctx: Context, large: Any) -> bool:
        return bool(large == found == ctx.output("large"))

    async with worker_that(looks) as site:
        handed = around(await reference_of(site))
        site.ask("a", outputs={"large": handed})
        end = await site.end()

    assert isinstance(end, AttemptCompleted), end.failure
    assert value(end.output) is True


async def test_inputs_and_items_are_replaced() -> None:
    flow = Workflow("flow")
    flow.add("large", lambda: LARGE)

    @flow.each("input")
    def member(item: Any, input: Any) -> bool:  # noqa: A002
        return bool(item == LARGE and input == {"order": LARGE})

    async with working(flow, payload_inline_bytes_max=INLINE) as site:
        reference = await reference_of(site)
        site.ask("member[0]", function="member", item=reference, input={"order": value(reference)})
        end = await site.end()

    assert value(end.output) is True


async def test_a_value_that_is_gone_fails_the_attempt_for_good() -> None:
    async with worker_that(lambda large: None) as site:
        lost = value(await reference_of(site))
        lost["$blob"][1] += 1
        lost["$blob"][3] = "0" * 64
        site.ask("a", outputs={"large": lost})
        end = await site.end()

    assert (end.failure.code, end.failure.retryable) == ("payload_lost", False)
    assert "the record is gone. Keep that topic for longer than runs last" in end.failure.message


async def test_another_record_at_the_place_is_not_taken_for_the_value() -> None:
    async with worker_that(lambda large: None) as site:
        other = value(await reference_of(site))
        other["$blob"][3] = "0" * 64
        site.ask("a", outputs={"large": other})
        end = await site.end()

    assert end.failure.code == "payload_lost"
    assert "another record is there" in end.failure.message


async def test_what_only_looks_like_a_reference_is_the_authors_own() -> None:
    mine = {"inside": {"$blob": ["not", "a", "place"]}}
    async with worker_that(lambda large: large) as site:
        site.ask("a", outputs={"large": mine})
        end = await site.end()

    assert value(end.output) == mine


async def test_an_output_beyond_all_bounds_fails() -> None:
    async with worker_that(lambda: "x" * 4_000_001) as site:
        site.ask("a")
        end = await site.end()

    assert (end.failure.code, end.failure.retryable) == ("output_too_large", False)
    assert "4000003 bytes of JSON; 4000000 are the most: keep it elsewhere" in end.failure.message


async def test_what_the_reconciler_reads_of_an_output_has_to_fit_into_a_message() -> None:
    async with worker_that(lambda: {"all": "x" * 1_000_000}) as site:
        site.ask("a", picks=("all",))
        end = await site.end()

    assert end.failure.code == "output_too_large"
    assert "at the paths that other steps' options read" in end.failure.message


async def test_an_output_makes_room_for_what_is_put_into_the_context() -> None:
    def puts(ctx: Context) -> str:
        ctx.put("much", "y" * 850_000)
        return "x" * 90_000

    async with working(flow_of(puts)) as site:
        site.ask("a")
        end = await site.end()

    assert is_reference(bytes(end.output))


async def test_values_are_read_once_and_forgotten_when_there_are_too_many() -> None:
    blobs = CountedBlobs()
    writer, reader = Payloads(blobs), Payloads(blobs, cache_bytes_max=2_000)
    references = [await writer.stored("key", bytes(raw(str(i) * 998))) for i in range(3)]

    for i in (0, 0, 1, 0, 2, 0, 1):
        assert value(Raw(await reader.resolved(references[i]))) == str(i) * 998
    await writer.resolved(b"[%b,%b]" % (references[0], references[1]))

    assert blobs.gets == 4


async def test_a_value_without_the_mark_is_passed_on_as_it_is() -> None:
    data = b' {"a" : 1} '

    assert await Payloads(CountedBlobs()).resolved(data) is data
