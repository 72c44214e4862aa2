"""The client against a whole instance: real Kafka, real Postgres, every service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from instances import PARTITIONS, Instance, running, settings_of
from pydantic import BaseModel

from stream_durable import App, Client, Fail, RunCancelled, RunFailed, Workflow
from stream_durable.client import BlockingClient
from stream_durable.client.edge import Edge, Ports
from stream_durable.client.watching import Event
from stream_durable.core.errors import BrokenError, RejectedError, TransientError
from stream_durable.core.ids import partition_of
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.local.kafka import LocalKafka
from stream_durable.postgres.connection import connect
from stream_durable.postgres.migrate import migrate
from stream_durable.settings import Settings

pytestmark = pytest.mark.real


class Order(BaseModel):
    id: str
    total: float = 1.0


orders = Workflow("order", input=Order)


@orders.step
async def reserve(order: Order) -> list[str]:
    return [order.id]


@orders.step
async def charge(order: Order, reserve: list[str]) -> dict[str, float]:
    if order.total > 100:
        raise Fail("too_much", "needs another process", retryable=False)
    return {"amount": order.total}


payments = Workflow("payment")
paid = payments.wait_event("paid", "payment.captured", key="input.id")


@payments.step
async def book(paid: dict[str, int]) -> int:
    return paid["amount"]


releases = Workflow("release")
first = releases.wait_signal("first", "released")
second = releases.wait_signal("second", "released", after=first)


@releases.step
async def both(first: int, second: int) -> list[int]:
    return [first, second]


app = App("shop", workflows=[orders, payments, releases])


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix)


@pytest.fixture
async def instance(settings: Settings) -> AsyncIterator[Instance]:
    async with running(settings, app) as found:
        yield found


def told(event: Event) -> str:
    return event.type if isinstance(event, RunEvent) else f"{event.type} {event.step}"


async def test_a_run_is_started_and_has_a_result(instance: Instance) -> None:
    run = await instance.client.start(orders, Order(id="42", total=9.5))

    assert run.created
    assert await run.result(timeout="90s") == {"amount": 9.5}
    assert await run.result() == {"amount": 9.5}


async def test_the_state_says_what_became_of_every_step(instance: Instance) -> None:
    before = datetime.now(UTC)
    run = await instance.client.start(orders, {"id": "42"}, id="order-42", tags=["vip"])
    await run.result(timeout="90s")

    state = await run.state()

    assert (state.id, state.workflow, state.fingerprint) == ("order-42", "order", orders.fingerprint)
    assert (state.status, state.done, state.total, state.tags) == ("completed", 2, 2, ("vip",))
    assert state.input == {"id": "42", "total": 1.0}
    assert state.output == {"amount": 1.0}
    assert abs(state.created - before).total_seconds() < 60
    assert state.ended is not None
    assert state.created <= state.ended == state.updated
    assert list(state.steps) == ["reserve", "charge"]
    step = state.steps["reserve"]
    assert (step.status, step.attempt, step.output, step.failure) == ("completed", 1, ["42"], None)
    assert step.worker is not None


async def test_steps_without_a_row_are_pending_or_ready(instance: Instance) -> None:
    run = await instance.client.start(payments, {"id": "7"})

    state = await run.state()

    assert {name: step.status for name, step in state.steps.items()} == {"paid": "waiting", "book": "pending"}
    assert (state.status, state.done, state.total) == ("waiting", 0, 2)
    assert (state.steps["paid"].attempt, state.steps["book"].attempt) == (1, 0)


@pytest.mark.parametrize("partitions", [PARTITIONS - 1, 2 * PARTITIONS])
async def test_a_client_that_counts_other_partitions_is_told_so(instance: Instance, partitions: int) -> None:
    settings = instance.settings.override({"kafka.partitions": partitions})
    told = f"has {PARTITIONS} partitions, and kafka.partitions is {partitions}: set kafka.partitions to"

    async with Client(settings) as client:
        run = await client.start(orders, Order(id="1"))
        with pytest.raises(RejectedError, match=told):
            await run.result(timeout="90s")


async def test_one_id_is_one_run(instance: Instance) -> None:
    client = instance.client

    one = await client.start(orders, Order(id="42", total=2), id="order-42")
    two = await client.start(orders, Order(id="42", total=2), id="order-42")
    by_name = await client.start("order", {"total": 2.0, "id": "42"}, id="order-42")

    assert (one.created, two.created, by_name.created) == (True, False, False)
    assert await two.result(timeout="90s") == {"amount": 2}
    with pytest.raises(
        RejectedError, match="'order-42' exists and was started with another input"
    ) as refused:
        await client.start(orders, Order(id="42", total=3), id="order-42")
    assert refused.value.code == "different_input"
    with pytest.raises(RejectedError, match="one of workflow 'order', not of 'payment'") as refused:
        await client.start(payments, {"id": "42"}, id="order-42")
    assert refused.value.code == "different_workflow"


async def test_of_many_starts_at_once_exactly_one_wins(instance: Instance) -> None:
    starts = [instance.client.start(orders, Order(id="42"), id="order-42") for _ in range(20)]

    handles = await asyncio.gather(*starts)

    assert [run.created for run in handles].count(True) == 1
    assert await asyncio.gather(*(run.result(timeout="90s") for run in handles)) == [{"amount": 1.0}] * 20


async def test_of_starts_at_once_with_different_inputs_the_losers_are_refused(instance: Instance) -> None:
    starts = [instance.client.start(orders, Order(id=str(i)), id="order-42") for i in range(8)]

    outcomes = await asyncio.gather(*starts, return_exceptions=True)

    refused = [one.code for one in outcomes if isinstance(one, RejectedError)]
    assert refused == ["different_input"] * 7


async def test_a_start_by_name_means_the_version_that_was_registered_last(instance: Instance) -> None:
    def version(steps: int) -> Workflow:
        flow = Workflow("versioned")
        for i in range(steps):
            flow.wait_signal(f"go{i}")
        return flow

    for steps in (1, 2):
        await instance.ports.catalogue.register(version(steps).definition())
        state = await (await instance.client.start("versioned")).state()
        assert len(state.steps) == steps


async def test_an_unknown_workflow_is_refused_with_what_there_is(instance: Instance) -> None:
    for definition in app.definitions():
        await instance.ports.catalogue.register(definition)
    with pytest.raises(
        RejectedError, match="'ordr' is registered; is 'order' meant.*order, payment, release"
    ):
        await instance.client.start("ordr", {"id": "42"})


async def test_what_does_not_fit_is_refused_before_it_is_sent(instance: Instance) -> None:
    client = instance.client
    with pytest.raises(RejectedError, match="input of workflow 'order' does not fit: total"):
        await client.start(orders, {"id": "42", "total": "much"})
    with pytest.raises(RejectedError, match="input of workflow 'payment' does not fit: id: .*object"):
        await client.start(payments, {"id": object()})
    with pytest.raises(RejectedError, match="1 to 512 bytes of UTF-8, this one 513"):
        await client.start(payments, {}, id="x" * 513)
    with pytest.raises(RejectedError, match="this one 513: take a shorter one"):
        await client.start(payments, {}, id="訂" * 171)
    with pytest.raises(RejectedError, match="NUL"):
        await client.start(payments, {}, id="a\x00b")
    with pytest.raises(RejectedError, match="900000 are the most"):
        await client.start(payments, {"id": "x" * 900_000})
    with pytest.raises(RejectedError, match="'no/name' is not a name"):
        await client.publish("no/name", key="42")
    with pytest.raises(RejectedError, match="511 bytes of UTF-8"):
        await client.publish("payment.captured", key="x" * 512)
    with pytest.raises(RejectedError, match="this key has 513"):
        await client.publish("payment.captured", key="訂" * 171)
    with pytest.raises(RejectedError, match="bytes of UTF-8"):
        await client.publish("payment.captured", key="42", id="訂" * 171)
    with pytest.raises(RejectedError, match="'' is not a name"):
        await client.signal("order-42", "")
    with pytest.raises(RejectedError, match="not valid Unicode"):
        await client.signal("\ud800", "released")


async def test_the_result_of_a_failed_run_is_its_failure(instance: Instance) -> None:
    run = await instance.client.start(orders, Order(id="42", total=1e6))

    for _ in range(2):
        with pytest.raises(RunFailed, match="failed at step 'charge': too_much: needs") as failed:
            await run.result(timeout="90s")
        assert failed.value.run == run.id
        assert (failed.value.code, failed.value.step) == ("too_much", "charge")
    state = await run.state()
    assert state.status == "failed"
    assert state.failure is not None
    assert state.failure.code == "too_much"
    assert state.steps["charge"].failure is not None


async def test_a_run_is_cancelled(instance: Instance) -> None:
    run = await instance.client.start(payments, {"id": "42"})
    waiting = asyncio.ensure_future(run.result(timeout="90s"))

    await run.cancel("not wanted")

    with pytest.raises(RunCancelled, match="not wanted"):
        await waiting
    with pytest.raises(RunCancelled, match="not wanted"):
        await run.result()
    state = await run.state()
    assert {name: step.status for name, step in state.steps.items()} == {
        "paid": "cancelled",
        "book": "cancelled",
    }


async def test_a_watch_tells_all_in_order_whenever_it_begins(instance: Instance) -> None:
    story = [
        "run.started",
        "step.waiting first",
        "step.completed first",
        "step.waiting second",
        "step.completed second",
        "step.completed both",
        "run.completed",
    ]
    client = instance.client
    run = await client.start(releases)
    seen: list[Event] = []
    async for event in run.watch(timeout="90s"):
        seen.append(event)
        if told(event).startswith("step.waiting"):
            await client.signal(run.id, "released", len(seen))

    assert [told(event) for event in seen] == story
    for kind in (RunEvent, StepEvent):
        sequences = [event.sequence for event in seen if isinstance(event, kind)]
        assert sequences == list(range(1, len(sequences) + 1))
    assert [told(event) async for event in run.watch(timeout="90s")] == story
    assert [told(event) async for event in client.run(run.id).watch()] == story


async def test_a_watch_may_be_left_and_ends_with_its_time(instance: Instance) -> None:
    run = await instance.client.start(payments, {"id": "42"})

    async with aclosing(run.watch()) as events:
        assert told(await anext(events)) == "run.started"
    with pytest.raises(TimeoutError, match=f"run '{run.id}' has not ended within 1s"):
        assert [told(event) async for event in run.watch(timeout="1s")] == [
            "run.started",
            "step.waiting paid",
        ]


async def test_a_watch_does_not_depend_on_clocks(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_durable.client.watching._SETTLE_SECONDS", 0.5)
    run = await instance.client.start(orders, Order(id="42"))
    await run.result(timeout="90s")
    await execute(instance, "update run set created = created + 86400000")

    story = [told(event) async for event in run.watch(timeout="90s")]

    assert story == ["run.started", "step.completed reserve", "step.completed charge", "run.completed"]


async def test_a_watch_tells_what_has_not_expired(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream_durable.client.watching._SETTLE_SECONDS", 0.5)
    run = await instance.client.start(orders, Order(id="42"))
    await run.result(timeout="90s")
    await run.state()
    await instance.records("steps", lambda found: len(found) == 2)
    partition = partition_of(run.id, PARTITIONS)

    await expire(instance, TopicPartition(f"{instance.settings.prefix}.steps", partition, 1))
    story = [told(event) async for event in run.watch(timeout="90s")]
    assert story == ["run.started", "step.completed charge", "run.completed"]

    await expire(instance, TopicPartition(f"{instance.settings.prefix}.runs", partition, 1))
    story = [told(event) async for event in run.watch(timeout="90s")]
    assert story == ["step.completed charge", "run.completed"]

    await expire(instance, TopicPartition(f"{instance.settings.prefix}.runs", partition, 2))
    with pytest.raises(RejectedError, match="has expired from the log"):
        story = [told(event) async for event in run.watch(timeout="90s")]


async def execute(instance: Instance, statement: str) -> None:
    connection = await connect(instance.settings.postgres)
    await connection.execute(statement)
    await connection.close()


async def expire(instance: Instance, up_to: TopicPartition) -> None:
    admin = AdminClient({"bootstrap.servers": instance.settings.kafka.bootstrap, "log_level": 0})
    (deleted,) = admin.delete_records([up_to]).values()
    await asyncio.wrap_future(deleted)


async def test_an_event_that_comes_before_the_wait_is_found_and_a_repeat_does_nothing(
    instance: Instance,
) -> None:
    client = instance.client
    await client.publish("payment.captured", key=42, data={"amount": 1}, id="m1")
    await client.publish("payment.captured", key="42", data={"amount": 2}, id="m1")

    run = await client.start(payments, {"id": 42})

    assert await run.result(timeout="90s") == 1


async def test_an_event_wakes_the_run_that_waits(instance: Instance) -> None:
    client = instance.client
    run, other = [await client.start(payments, {"id": each}) for each in ("42", "43")]
    await run.state()

    await client.publish("payment.captured", key="42", data={"amount": 3}, ttl="1m")

    assert await run.result(timeout="90s") == 3
    assert (await other.state()).status == "waiting"


async def test_a_signal_may_be_early_and_counts_once(instance: Instance) -> None:
    client = instance.client
    run = await client.start(releases, id="r")
    await client.signal("r", "released", 1, id="m1")
    await client.signal("r", "released", 9, id="m1")
    await client.signal("r", "released", 2, id="m2")

    assert await run.result(timeout="90s") == [1, 2]


async def test_what_is_not_there_is_said(instance: Instance) -> None:
    nobody = instance.client.run("nobody")
    for call in (nobody.result(), nobody.state(), anext(nobody.watch())):
        with pytest.raises(RejectedError, match="there is no run 'nobody'") as refused:
            await call
        assert refused.value.code == "unknown_run"
    run = await instance.client.start(payments, {"id": "42"})
    with pytest.raises(TimeoutError, match=f"run '{run.id}' has not ended within 200ms"):
        await run.result(timeout="200ms")


async def test_a_closed_client_says_so(instance: Instance) -> None:
    client = Client(instance.settings)
    with pytest.raises(RejectedError, match="async with Client"):
        await client.start(orders, Order(id="42"))
    async with client:
        run = await client.start(payments, {"id": "42"}, id="p")
        waiting = asyncio.ensure_future(run.result())
        events = run.watch()
        assert [told(await anext(events)) for _ in range(2)] == ["run.started", "step.waiting paid"]
        watching = asyncio.ensure_future(anext(events))
        await instance.begun("p")
    for each in (waiting, watching):
        with pytest.raises(RejectedError, match="client was closed"):
            await each


async def test_the_settings_come_from_the_environment(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = instance.settings
    for name, value in {
        "PREFIX": of.prefix,
        "KAFKA__BOOTSTRAP": of.kafka.bootstrap,
        "KAFKA__PARTITIONS": str(of.kafka.partitions),
        "POSTGRES__DSN": of.postgres.dsn.get_secret_value(),
    }.items():
        monkeypatch.setenv(f"STREAM_DURABLE_{name}", value)

    async with Client() as client:
        run = await client.start(orders, Order(id="42"), id="order-42")
        assert await run.result(timeout="90s") == {"amount": 1.0}


async def test_the_same_without_a_loop(instance: Instance) -> None:
    def program() -> None:
        with Client.sync(instance.settings) as client:
            run = client.start(orders, Order(id="42"), id="order-42")
            assert run.created
            assert not client.start("order", {"id": "42", "total": 1.0}, id="order-42").created
            assert run.result(timeout="90s") == {"amount": 1.0}
            assert run.state().status == "completed"
            assert [told(event) for event in run.watch()][-1] == "run.completed"
            for event in run.watch():
                assert told(event) == "run.started"
                break
            waiting = client.start(releases, id="r")
            client.signal("r", "released", 1)
            with pytest.raises(TimeoutError):
                waiting.result(timeout="100ms")
            client.cancel("r", "enough")
            with pytest.raises(RunCancelled, match="enough"):
                client.run("r").result(timeout="90s")
            client.publish("payment.captured", key="42", data={"amount": 1})

    await asyncio.to_thread(program)


def test_a_blocking_client_has_the_words_of_the_other() -> None:
    assert BlockingClient.__doc__
    with pytest.raises(RejectedError, match="with Client.sync"):
        Client.sync(Settings()).run("x")


async def test_a_schema_and_topics_that_are_missing_are_named_with_the_remedy(
    kafka_broker: LocalKafka, empty_database: str, prefix: str
) -> None:
    async with Client(settings_of(kafka_broker, empty_database, prefix)) as client:
        with pytest.raises(BrokenError, match="run `stream-durable db migrate`"):
            await client.run("x").state()
        with pytest.raises(RejectedError, match="run `stream-durable topics apply`"):
            await client.run("x").result(timeout="90s")


async def test_patience_ends_with_the_cause(settings: Settings) -> None:
    async def refused() -> None:
        raise TransientError("nobody is there")

    ports = Ports(*[None] * 7, where="Kafka at far:9092")  # type: ignore[arg-type]  # nothing else is used
    with pytest.raises(TransientError) as raised:
        await Edge(ports, 0.2).ask(refused, "ask")

    assert str(raised.value) == (
        "could not ask within 0.2 s; the last answer was: nobody is there. The address is Kafka at far:9092: "
        "try again later, or correct the address in the settings"
    )


async def test_a_start_that_nobody_begins_is_said_to_be_on_the_log(settings: Settings) -> None:
    from contextlib import nullcontext

    from stream_durable import connecting
    from stream_durable.client import AsyncClient
    from stream_durable.kafka.topics import Topics

    await migrate(settings.postgres, settings.kafka.partitions)
    await Topics(settings, ("default",)).apply()
    async with (
        connecting.client_ports(settings) as ports,
        AsyncClient(lambda: nullcontext(ports)) as client,
    ):
        client._edge.patience_seconds = 3.0
        with pytest.raises(TransientError, match="'p' is on the log, and no reconciler"):
            await client.start(payments, {"id": "1"}, id="p")
        drawn = await client.start(payments, {"id": "1"})
        assert drawn.created
