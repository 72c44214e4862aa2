"""Live changes: what a stream brings, how it goes on after a break, and that a watcher costs little."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from urllib.parse import quote

import pytest
from api_flows import SECRET, fails, orders
from api_site import V1, Site, Stream, finish

from stream_durable import api_tokens
from stream_durable.api import hub as live
from stream_durable.api.callers import Caller
from stream_durable.api.hub import PACE_SECONDS, REST_SECONDS, WAITING_MAX, WRITES_MAX, Hub, Watcher
from stream_durable.memory.run_events import MemoryRunEvents
from stream_durable.ports import EventFlow, StoredApiToken
from stream_durable.testing.engine import Engine


@pytest.fixture
def site() -> Iterator[Site]:
    with Engine.memory() as engine:
        engine.deploy(orders, fails)
        site = Site(engine)
        yield site
        site.close()


async def start(site: Site, workflow: str, run: str) -> None:
    await site.engine._backend.client.start(workflow, {"id": SECRET}, id=run)


def has_failed(stream: Stream) -> bool:
    """Whether a stream has said that a run failed; what is said of steps comes beside it, before or after."""
    return any(one.data.get("type") == "run.failed" for one in stream.seen)


async def nothing(_: Stream) -> None: ...


def refused(site: Site, path: str, **headers: str) -> tuple[int, str]:
    answer = site.ask("GET", V1 + path, headers=headers)
    return answer.status_code, answer.json()["code"]


def test_a_stream_of_a_run_brings_its_events_and_no_others(site: Site) -> None:
    async def during(stream: Stream) -> None:
        await start(site, "order", "order-2")
        await start(site, "fails", "fails-1")
        # The two topics are read side by side.
        types = {"run.failed", "step.failed"}
        await stream.until(lambda: types <= {one.data.get("type") for one in stream.seen})

    hello, *seen = site.watch("/live?run=fails-1", during)
    assert hello.event == "hello"
    assert {(one.event, one.data["run"], one.data["workflow"]) for one in seen} == {
        ("run", "fails-1", "fails")
    }
    told = [(one.data["type"], one.data["step"]) for one in seen]
    assert told[0] == ("run.started", None)
    assert ("step.failed", "explode") in told
    assert ("run.failed", None) in told


def test_a_list_changes_by_runs_that_may_be_in_it_at_most_once_a_second(site: Site) -> None:
    texts = ("workflow=fails", "id_prefix=fails-4", "workflow=none")

    async def during(stream: Stream) -> None:
        for number in range(5):
            await start(site, "fails", f"fails-{number}")
        await start(site, "order", "order-1")
        await asyncio.sleep(5)
        changes = {
            text: [
                at for at, one in zip(stream.times, stream.seen, strict=True) if one.data == {"list": text}
            ]
            for text in texts
        }
        assert [len(times) > 1 for times in changes.values()] == [True, True, False]
        for times in changes.values():
            assert all(later - before > 0.99 * PACE_SECONDS for before, later in pairwise(times))

    seen = site.watch("/live?" + "&".join(f"list={quote(text)}" for text in texts), during)
    assert {one.event for one in seen} == {"hello", "list"}
    assert seen[-1].data["list"] in texts[:2]


def test_the_overview_changes_by_every_run(site: Site) -> None:
    async def during(stream: Stream) -> None:
        await start(site, "order", "order-1")
        await stream.until_seen("overview")

    assert [one.event for one in site.watch("/live?overview=true", during)] == ["hello", "overview"]


def test_one_stream_carries_several_subjects(site: Site) -> None:
    async def during(stream: Stream) -> None:
        await start(site, "order", "order-1")
        await stream.until(lambda: {"run", "list", "overview"} <= {one.event for one in stream.seen})

    site.watch("/live?overview=true&run=order-1&run=other&list=workflow%3Dorder&list=", during)


def test_a_stream_goes_on_where_it_was_left(site: Site) -> None:
    async def until_asked(stream: Stream) -> None:
        await start(site, "order", "order-1")
        await stream.until(lambda: stream.seen[-1].data.get("type") == "step.waiting")

    first = site.watch("/live?run=order-1", until_asked)
    site.post("/inputs/order-1/approve/answer", {"answer": True})
    finish(site.engine.until_idle())

    async def until_paid(stream: Stream) -> None:
        await stream.until(lambda: stream.seen[-1].data.get("step") == "paid")

    for query, header in (("", {"Last-Event-ID": first[-1].id}), (f"&after={first[-1].id}", {})):
        second = site.watch(f"/live?run=order-1{query}", until_paid, **header)
        assert "reload" not in [one.event for one in second]
        told = [one.data["sequence"] for one in (*first, *second) if one.data.get("step")]
        assert told == list(range(1, len(told) + 1))


def test_a_stream_left_too_long_ago_is_asked_to_load_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "REMEMBERED_MAX", 2)
    hello, *_ = site.watch("/live?run=fails-1", nothing)
    site.post("/runs", {"workflow": "fails", "id": "fails-1", "input": None})
    finish(site.engine.until_idle())
    for after in (hello.id, "1.2.3", "no-id", "9" * 5_000):
        seen = site.watch("/live?run=fails-1", nothing, **{"Last-Event-ID": after})
        assert [(one.event, one.data) for one in seen][1:] == [("reload", {"reason": "expired"})]


def test_a_slow_reader_is_asked_to_load_again_and_holds_no_more_than_its_bound() -> None:
    async def story() -> None:
        watcher = Watcher(["order-1"], [])
        for number in range(10 * WAITING_MAX):
            watcher.put(b"%d;" % number)
        taken = await watcher.take(1.0)
        assert taken is not None
        assert taken.startswith(b'event: reload\ndata: {"reason":"slow"}\n\n')
        assert taken.endswith(b"%d;" % (10 * WAITING_MAX - 1))
        assert taken.count(b";") <= WAITING_MAX
        watcher.put(b"more")
        assert await watcher.take(1.0) == b"more"

    asyncio.run(story())


def test_streams_rest_after_writes_only_where_many_are_written(site: Site) -> None:
    async def story() -> list[float]:
        loop, taken = asyncio.get_running_loop(), []
        hub = Hub(site.engine._backend.client._edge)  # type: ignore[attr-defined]
        # Those of two quarters of a second: it does not matter when they begin.
        while not taken or (taken[-1] < REST_SECONDS / 2 and len(taken) <= 2 * WRITES_MAX):
            before = loop.time()
            await hub.rest()
            taken.append(loop.time() - before)
        return taken

    *few, last = asyncio.run(story())
    assert len(few) >= WRITES_MAX
    assert last >= 0.99 * REST_SECONDS


def test_a_stream_rests_after_a_write_and_none_of_its_changes_is_missing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WRITES_MAX", 0)

    async def during(stream: Stream) -> None:
        await start(site, "fails", "fails-1")
        await stream.until(lambda: has_failed(stream))
        hello, first, *_ = stream.times
        assert first - hello >= 0.9 * REST_SECONDS

    seen = site.watch("/live?run=fails-1", during)
    told = [one.data["sequence"] for one in seen[1:] if one.data["step"]]
    assert told == list(range(1, len(told) + 1))
    assert {"run.started", "run.failed"} <= {one.data["type"] for one in seen[1:]}


def test_a_slow_reader_holds_up_nobody(site: Site) -> None:
    async def during(stream: Stream) -> None:
        stream.reads.clear()
        async with Stream(site.app, f"{V1}/live?run=fails-9", {}) as other:
            for number in range(10):
                await start(site, "fails", f"fails-{number}")
            await other.until(lambda: has_failed(other))
        assert len(stream.seen) == 1

    site.watch("/live?overview=true", during)


def test_a_quiet_stream_says_that_it_is_alive_and_ends_with_its_token(site: Site) -> None:
    callers = {"one": Caller("watcher", "viewer", may_see_payloads=False)}

    async def find(secret: str) -> Caller | None:
        return callers.get(secret)

    async def during(stream: Stream) -> None:
        await stream.until_seen("alive")
        callers.clear()
        await stream.until(lambda: stream.is_over)

    site.app = site.make(find=find, is_open=False)
    bearer = {"Authorization": "Bearer one"}
    seen = site.watch("/live?overview=true", during, **bearer)
    assert seen[0].event == "hello"
    assert {one.event for one in seen[1:]} == {"alive"}
    assert {one.id for one in seen} == {seen[0].id}
    assert refused(site, "/live?overview=true", **bearer) == (401, "not_signed_in")


def test_a_process_that_ends_says_goodbye(site: Site) -> None:
    async def during(stream: Stream) -> None:
        await site.app.state.connection.end_streams()
        await stream.until(lambda: stream.is_over)

    assert [one.event for one in site.watch("/live?overview=true", during)] == ["hello", "goodbye"]


def test_a_stream_carries_no_value_of_a_user(site: Site) -> None:
    async def during(stream: Stream) -> None:
        await start(site, "order", "order-1")
        await start(site, "fails", "fails-1")
        await stream.until(lambda: has_failed(stream))

    seen = site.watch("/live?overview=true&run=order-1&run=fails-1&list=", during)
    assert SECRET not in json.dumps(seen)


@pytest.mark.parametrize(
    ("query", "code"),
    [("", "bad_subjects"), ("?list=color%3Dred", "bad_filter"), ("?list=status%3D1&run=", "bad_request"),
     ("?" + "&".join(f"run={n}" for n in range(101)), "bad_request")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(site: Site, query: str, code: str) -> None:
    assert refused(site, f"/live{query}")[1] == code


def test_a_list_that_searches_payloads_takes_sight_of_them(site: Site) -> None:
    site.app = site.make(find=site.app.state.find, is_open=False)
    token = StoredApiToken("blind", "admin", False, site.engine.now_ms, None, None)
    secret = site.engine.tell(lambda: api_tokens.create(site.tokens, token))
    for text in ("input_text%3Dwalrus", "attributes%3Damount%3E9"):
        found = refused(site, f"/live?list={text}", Authorization=f"Bearer {secret}")
        assert found == (403, "forbidden")


class Counted(MemoryRunEvents):
    """The log, with the number of its readers."""

    opened = 0

    @asynccontextmanager
    async def flow(self) -> AsyncIterator[EventFlow]:
        self.opened += 1
        async with super().flow() as flow:
            yield flow


def test_a_thousand_watchers_share_one_reader(site: Site) -> None:
    events = Counted(site.engine._backend._deployment.broker)  # type: ignore[attr-defined]
    site.engine._backend.ports = site.engine.ports._replace(events=events)

    async def during(stream: Stream) -> None:
        runs = [f"fails-{number}" for number in range(20)]
        others = [Stream(site.app, f"{V1}/live?run={runs[number % 20]}", {}) for number in range(1_000)]
        await asyncio.gather(*(other.__aenter__() for other in others))
        for run in runs:
            await start(site, "fails", run)
        for other in others:
            await other.until(lambda other=other: has_failed(other))  # type: ignore[misc]
        await asyncio.gather(*(other.__aexit__() for other in others))
        await stream.until(lambda: len(stream.seen) > 1)

    site.watch("/live?overview=true", during)
    assert events.opened == 1
