"""What every store must do, as tests over a `store` fixture: an open store of four partitions, empty."""

from uuid import UUID, uuid4

import pytest
from waiting import eventually

from stream_durable.core.channel.rows import EventRow, WaitRow
from stream_durable.core.errors import BrokenError, ReplacedError, StatementError
from stream_durable.core.gate.rows import GateRow, PlaceRow
from stream_durable.core.run.rows import RunChange, RunRow, StepRow
from stream_durable.ports import Claim, DeadRow, Keys, RunPosition, Share, Store, TimerRow

START = (-1, "channel", "", "")


#: What a row that must not be there raises: in memory it is a bug that ends a simulation, while the tables of
#: a database others may write to, so that their partition is held.
UNEXPECTED = (BrokenError, StatementError)


def run_row(run: str = "r", partition: int = 0) -> RunRow:
    return RunRow(
        run, partition, "flow", "f" * 16, "running", 1, 2, None, "start", b'{"a":1}', None, None, 3, 4, 0, 2,
        99, '["tag"]', "00-trace", b"[[],[]]",
    )  # fmt: skip


def change(run: str = "r") -> RunChange:
    return RunChange(run, "completed", 20, 21, b"1", b"{}", 30, 40, 2, 2, None, None)


def step_row(run: str = "r", name: str = "s", attempt: int = 1) -> StepRow:
    return StepRow(run, name, "ready", attempt, b"1", b"{}", 5, 6, "worker", 7, 8, 9)


async def owned(store: Store, partition: int = 0) -> tuple[UUID, Claim]:
    token = uuid4()
    return token, await store.claim(partition, "owner", token)


def share(token: UUID, start: int = 0, end: int = 1, partition: int = 0) -> Share:
    return Share(partition, token, start, end, 1_000 + end, 3, 12345, 0, evidence=b"evidence")


async def stands_at(store: Store, partition: int = 0) -> int:
    return (await store.cursors([partition]))[partition].next_offset


async def test_a_claim_says_where_the_partition_stands(store: Store) -> None:
    first, claim = await owned(store)
    assert claim == Claim(0, 1, 0, 0, None, -1, 0, 0, 1, [])

    await store.identify(0, first, "topic")
    assert await store.commit([share(first, 0, 5)])
    second, claim = await owned(store)

    assert claim == Claim(0, 2, 5, 1_005, "topic", 3, 12345, 0, 1, [])
    assert (await store.cursors([0]))[0] == (second, 5, False)


async def test_an_orphan_is_adopted_once(store: Store, other: Store) -> None:
    async def are_seen() -> bool:
        # A server that has just started says nothing of who lives.
        return len((await store.attend()).living) == 2

    async def is_missed() -> bool:
        return (await store.attend()).orphans == {0: 1}

    await other.attend()
    await other.claim(0, "other", uuid4())
    await eventually(are_seen, "both are seen", seconds=60)
    assert not (await store.attend()).orphans

    await other.close()

    await eventually(is_missed, "the other is missed", seconds=60)
    claim = await store.adopt(0, 1, "owner", uuid4())
    assert claim is not None and claim.epoch == 2
    assert await store.adopt(0, 1, "owner", uuid4()) is None
    assert not (await store.attend()).orphans


async def test_whoever_was_never_present_is_not_missed(store: Store, other: Store) -> None:
    await other.claim(0, "an older release", uuid4())
    await other.close()

    assert not (await store.attend()).orphans


async def test_takeovers_without_progress_are_counted(store: Store) -> None:
    await owned(store)
    _, claim = await owned(store)

    assert claim.stalls == 2


async def test_a_claim_fences_whoever_was_the_owner(store: Store) -> None:
    old, _ = await owned(store)
    await owned(store)
    stale = share(old)
    stale.rows[RunRow] = [run_row()]

    assert not await store.commit([stale])

    assert await stands_at(store) == 0
    assert not (await store.load({"run": ["r"]})).get(RunRow, ())


async def test_rows_found_by_a_replaced_owner_are_refused(store: Store) -> None:
    old, _ = await owned(store)
    new, _ = await owned(store)
    keys: Keys = {"run": ["r"]}
    assert not (await store.load(keys, {0: old})).get(RunRow, ())
    saved = share(new)
    saved.rows[RunRow] = [run_row()]
    assert await store.commit([saved])

    assert len((await store.load(keys, {0: new}))[RunRow]) == 1
    with pytest.raises(ReplacedError) as error:
        await store.load(keys, {0: old})
    assert error.value.partitions == [0]


async def test_all_partitions_have_to_ask_again_when_the_log_of_one_was_lost(store: Store) -> None:
    token, _ = await owned(store)
    other, _ = await owned(store, 1)
    await store.must_redrive(1, other, is_due=False)

    assert await store.new_generation(0, token, "topic", 7, "gone") == 1

    cursors = await store.cursors([0, 1, 2])
    assert [(cursors[p].next_offset, cursors[p].must_redrive) for p in (0, 1, 2)] == [
        (7, True), (0, True), (0, True),
    ]  # fmt: skip
    _, claim = await owned(store, 2)
    assert claim.must_redrive


async def test_what_a_fenced_owner_notes_changes_nothing(store: Store) -> None:
    old, _ = await owned(store)
    await owned(store)

    await store.identify(0, old, "topic")
    await store.lose(0, old, "gone")

    assert await store.new_generation(0, old, "topic", 7, "gone") is None
    assert await store.suspect(0, old, 7) == 0
    _, claim = await owned(store)
    assert (claim.topic_id, claim.next_offset, claim.generation) == (None, 0, 0)


async def test_a_commit_from_another_offset_writes_nothing(store: Store) -> None:
    token, _ = await owned(store)
    assert await store.commit([share(token, 0, 5)])

    assert not await store.commit([share(token, 0, 5)])
    assert not await store.commit([share(token, 6, 7)])

    assert await stands_at(store) == 5


async def test_one_fenced_partition_holds_back_the_whole_batch(store: Store) -> None:
    mine, _ = await owned(store, 0)
    lost, _ = await owned(store, 1)
    await owned(store, 1)
    good, bad = share(mine), share(lost, partition=1)
    good.rows[RunRow], good.outbox = [run_row()], b"letters"
    good.timers = [TimerRow("run", "r", "", 0, 50)]

    assert not await store.commit([good, bad])

    assert await stands_at(store) == 0
    assert not (await store.load({"run": ["r"]})).get(RunRow, ())
    assert await store.timers(0, START, 1_000, 10) == []
    assert await store.commit([good])
    assert [tuple(row) for row in (await store.load({"run": ["r"]})).get(RunRow, ())] == [tuple(run_row())]


async def test_several_partitions_are_saved_together(store: Store) -> None:
    tokens = {p: (await owned(store, p))[0] for p in (0, 1, 2)}

    assert await store.commit([share(token, 0, p + 1, p) for p, token in tokens.items()])

    found = await store.cursors([0, 1, 2, 3])
    assert {p: cursor.next_offset for p, cursor in found.items()} == {0: 1, 1: 2, 2: 3, 3: 0}
    assert {p: cursor.token for p, cursor in found.items()} == {**tokens, 3: None}


async def test_a_new_generation_goes_on_elsewhere(store: Store) -> None:
    token, _ = await owned(store)
    assert await store.commit([share(token, 0, 5)])

    assert await store.new_generation(0, token, "another", 2, "it was made anew") == 1

    _, claim = await owned(store)
    assert claim == Claim(0, 2, 2, 1_005, "another", -1, 0, 1, 1, [], must_redrive=True)


async def test_evidence_of_the_same_offsets_belongs_to_its_generation(store: Store) -> None:
    token, _ = await owned(store)
    assert await store.commit([share(token, 0, 5)])
    assert await store.new_generation(0, token, "another", 0, "it was made anew") == 1
    again = share(token, 0, 5)
    again.generation = 1

    assert await store.commit([again])


async def test_suspicions_count_the_owners_of_an_offset_and_not_their_calls(store: Store) -> None:
    first, _ = await owned(store)
    assert [await store.suspect(0, first, offset) for offset in (7, 7)] == [1, 1]

    second, _ = await owned(store)
    assert [await store.suspect(0, second, offset) for offset in (7, 7, 8)] == [2, 2, 1]


async def test_a_suspicion_is_taken_back_by_the_owner_alone(store: Store) -> None:
    first, _ = await owned(store)
    assert await store.suspect(0, first, 7) == 1
    second, _ = await owned(store)

    await store.absolve(0, first)
    assert await store.suspect(0, second, 7) == 2

    await store.absolve(0, second)
    assert await store.suspect(0, second, 7) == 1


async def test_commands_that_are_requested_again_do_not_hide_that_everything_has_to_be(store: Store) -> None:
    token, _ = await owned(store)
    other, _ = await owned(store, 1)
    await store.must_redrive(1, other, is_due=True, commands=True)
    await store.new_generation(0, token, "another", 0, "it was made anew")

    await store.must_redrive(1, other, is_due=False, commands=True)
    cursors = await store.cursors([1])

    assert cursors[1].must_redrive
    await store.must_redrive(1, other, is_due=False)
    assert not (await owned(store, 1))[1].must_redrive


async def test_a_note_with_a_successor_replaces_the_token_of_its_owner(store: Store) -> None:
    token, _ = await owned(store)
    successor = uuid4()
    await store.must_redrive(0, token, is_due=True, commands=True, successor=successor)
    await store.must_redrive(0, uuid4(), is_due=False, commands=True, successor=uuid4())

    assert not await store.commit([share(token)])
    assert await store.commit([share(successor)])
    assert (await owned(store))[1].must_redrive


async def test_an_interrupted_request_for_commands_is_the_next_owners(store: Store) -> None:
    token, _ = await owned(store)
    await store.must_redrive(0, token, is_due=True, commands=True)

    assert (await owned(store))[1].must_redrive


async def test_a_new_generation_asks_for_a_redrive_until_it_is_done(store: Store) -> None:
    token, claim = await owned(store)
    assert not claim.must_redrive
    await store.new_generation(0, token, "another", 0, "it was made anew")

    token, claim = await owned(store)
    assert claim.must_redrive
    await store.must_redrive(0, token, is_due=False)

    assert not (await owned(store))[1].must_redrive


async def test_a_run_is_inserted_and_then_changed(store: Store) -> None:
    token, _ = await owned(store)
    first, second = share(token), share(token, 1, 2)
    first.rows[RunRow] = [run_row()]
    second.rows[RunChange] = [change()]

    assert await store.commit([first])
    assert await store.commit([second])

    expected = run_row()._replace(**change()._asdict())
    assert [RunRow._make(row) for row in (await store.load({"run": ["r"]})).get(RunRow, ())] == [expected]


async def test_a_run_cannot_be_inserted_twice(store: Store) -> None:
    token, _ = await owned(store)
    first, second = share(token), share(token, 1, 2)
    first.rows[RunRow] = second.rows[RunRow] = [run_row()]
    second.rows[StepRow] = [step_row()]
    assert await store.commit([first])

    with pytest.raises(UNEXPECTED):
        await store.commit([second])

    assert await stands_at(store) == 1
    assert not (await store.load({"run": ["r"]})).get(StepRow, ())


async def test_a_step_is_inserted_or_replaced(store: Store) -> None:
    token, _ = await owned(store)
    first, second = share(token), share(token, 1, 2)
    first.rows[RunRow], first.rows[StepRow] = [run_row()], [step_row(), step_row(name="t")]
    second.rows[StepRow] = [step_row(attempt=2)]

    assert await store.commit([first])
    assert await store.commit([second])

    steps = sorted(StepRow._make(row) for row in (await store.load({"run": ["r"]})).get(StepRow, ()))
    assert steps == [step_row(attempt=2), step_row(name="t")]


async def test_what_is_missing_is_left_out(store: Store) -> None:
    token, _ = await owned(store)
    first = share(token)
    first.rows[RunRow] = [run_row()]
    assert await store.commit([first])

    loaded = await store.load({"run": ["r", "nobody"], "channel": ["nothing/here"]})

    assert [row[0] for row in loaded.get(RunRow, ())] == ["r"]
    assert not any(loaded.get(row, ()) for row in (StepRow, EventRow, WaitRow))


async def test_steps_of_other_runs_are_not_loaded(store: Store) -> None:
    token, _ = await owned(store)
    first = share(token)
    first.rows[RunRow] = [run_row("r"), run_row("other")]
    first.rows[StepRow] = [step_row("r"), step_row("other")]
    assert await store.commit([first])

    assert [row[0] for row in (await store.load({"run": ["r"]})).get(StepRow, ())] == ["r"]


async def test_events_and_waits_come_and_go(store: Store) -> None:
    token, _ = await owned(store)
    first, second = share(token), share(token, 1, 2)
    first.rows[EventRow] = [EventRow("c/k", "e1", 0, b"1", 10), EventRow("c/k", "e2", 0, b"2", 20, 7, 5)]
    first.rows[WaitRow] = [WaitRow("c/k", "r", "w1", 0, 1, 1), WaitRow("c/k", "r", "w2", 0, 2, 1)]
    second.rows[EventRow] = [
        EventRow("c/k", "e1", 0, None, None),
        EventRow("c/k", "e2", 0, b"3", 30, None, 5, 9, "r", "w3", 2, True, 4, "till"),
    ]
    second.rows[WaitRow] = [
        WaitRow("c/k", "r", "w1", 0, None),
        WaitRow("c/k", "r", "w2", 0, 3, 2, True, 3, 4),
    ]

    assert await store.commit([first])
    before = await store.load({"channel": ["c/k"]})
    assert await store.commit([second])
    after = await store.load({"channel": ["c/k"]})

    assert sorted(map(tuple, before.get(EventRow, ()))) == [
        ("c/k", "e1", b"1", 10, None, None, None, None, None, None, False, None, None),
        ("c/k", "e2", b"2", 20, 7, 5, None, None, None, None, False, None, None),
    ]
    assert sorted(map(tuple, before.get(WaitRow, ()))) == [
        ("c/k", "r", "w1", 1, 1, False, None, None),
        ("c/k", "r", "w2", 2, 1, False, None, None),
    ]
    assert [tuple(row) for row in after.get(EventRow, ())] == [
        ("c/k", "e2", b"3", 30, None, 5, 9, "r", "w3", 2, True, 4, "till")
    ]
    assert [tuple(row) for row in after.get(WaitRow, ())] == [("c/k", "r", "w2", 3, 2, True, 3, 4)]


async def test_gates_and_their_places_come_and_go(store: Store) -> None:
    token, _ = await owned(store)
    first, second = share(token), share(token, 1, 2)
    first.rows[GateRow] = [GateRow("bank", 0, b"{}"), GateRow("other", 0, b"[]")]
    first.rows[PlaceRow] = [
        PlaceRow("bank", "r", "s", 0, 1, 1, True),
        PlaceRow("bank", "r", "t", 0, 1, 2, False, 3, -5, "gold", 7, 1_000, 2_000),
        PlaceRow("other", "r", "s", 0, 1, 1, False),
    ]
    second.rows[GateRow] = [GateRow("bank", 0, b"1")]
    second.rows[PlaceRow] = [
        PlaceRow("bank", "r", "s", 0, None, None, None),
        PlaceRow("bank", "r", "t", 0, 2, 3, True),
        PlaceRow("bank", "r", "u", 0, None, None, None),
    ]

    assert await store.commit([first])
    before = await store.load({"gate": ["bank", "nobody"]})
    assert await store.commit([second])
    after = await store.load({"gate": ["bank"]})

    nothing = (None,) * 6
    assert [tuple(row) for row in before.get(GateRow, ())] == [("bank", b"{}")]
    assert sorted(map(tuple, before.get(PlaceRow, ()))) == [
        ("bank", "r", "s", 1, 1, True, *nothing),
        ("bank", "r", "t", 1, 2, False, 3, -5, "gold", 7, 1_000, 2_000),
    ]
    assert [tuple(row) for row in after.get(GateRow, ())] == [("bank", b"1")]
    assert [tuple(row) for row in after.get(PlaceRow, ())] == [("bank", "r", "t", 2, 3, True, *nothing)]


async def test_a_fenced_owner_changes_no_gate(store: Store) -> None:
    token, _ = await owned(store)
    first, stale = share(token), share(token, 1, 2)
    first.rows[GateRow] = [GateRow("bank", 0, b"1")]
    first.rows[PlaceRow] = [PlaceRow("bank", "r", "s", 0, 1, 1, False)]
    stale.rows[GateRow] = [GateRow("bank", 0, b"2")]
    stale.rows[PlaceRow] = [PlaceRow("bank", "r", "s", 0, None, None, None)]
    assert await store.commit([first])
    await owned(store)

    assert not await store.commit([stale])

    loaded = await store.load({"gate": ["bank"]})
    assert [tuple(row) for row in loaded.get(GateRow, ())] == [("bank", b"1")]
    assert len(loaded.get(PlaceRow, ())) == 1


async def test_timers_are_read_in_windows_in_the_order_in_which_they_come_due(store: Store) -> None:
    token, _ = await owned(store, 0)
    other, _ = await owned(store, 1)
    mine, theirs = share(token), share(other, partition=1)
    mine.timers = [
        TimerRow("run", "b", "", 0, 20),
        TimerRow("run", "a", "s", 0, 20),
        TimerRow("channel", "z/z", "", 0, 20),
        TimerRow("run", "c", "", 0, 10),
        TimerRow("run", "d", "", 0, 31),
    ]
    theirs.timers = [TimerRow("run", "e", "", 1, 5)]
    assert await store.commit([mine, theirs])

    first = await store.timers(0, START, 30, 3)
    rest = await store.timers(0, first[-1], 30, 3)

    assert first == [(10, "run", "c", ""), (20, "channel", "z/z", ""), (20, "run", "a", "s")]
    assert rest == [(20, "run", "b", "")]
    assert await store.timers(0, START, 31, 10) == [*first, *rest, (31, "run", "d", "")]


async def test_a_timer_is_moved_and_removed(store: Store) -> None:
    token, _ = await owned(store)
    shares = [share(token, i, i + 1) for i in range(3)]
    for one, due in zip(shares, (10, 40, None), strict=True):
        one.timers = [TimerRow("run", "r", "s", 0, due)]
    seen = []

    for one in shares:
        assert await store.commit([one])
        seen.append(await store.timers(0, START, 1_000, 10))

    assert seen == [[(10, "run", "r", "s")], [(40, "run", "r", "s")], []]


async def test_the_next_owner_gets_what_may_not_have_been_said_in_order(store: Store) -> None:
    token, _ = await owned(store)
    for start, body in ((0, b"first"), (7, b"second"), (10, b"third")):
        one = share(token, start, {0: 7, 7: 10, 10: 11}[start])
        one.outbox = body
        one.published = [7] if start == 10 else []
        assert await store.commit([one])

    _, claim = await owned(store)

    assert claim.outbox == [(0, b"first"), (10, b"third")]


async def test_a_share_without_records_removes_what_was_said(store: Store) -> None:
    token, _ = await owned(store)
    first, tidy = share(token), share(token, 1, 1)
    first.outbox, tidy.published = b"first", [0]
    assert await store.commit([first])

    assert await store.commit([tidy])
    assert await store.commit([tidy])

    _, claim = await owned(store)
    assert (claim.outbox, claim.next_offset) == ([], 1)


async def test_a_row_of_the_outbox_is_not_overwritten(store: Store) -> None:
    token, _ = await owned(store)
    first, again = share(token, 0, 0), share(token, 0, 1)
    first.outbox = again.outbox = b"letters"
    assert await store.commit([first])

    with pytest.raises(UNEXPECTED):
        await store.commit([again])

    assert await stands_at(store) == 0


async def test_held_commands_are_kept_until_they_have_begun(store: Store) -> None:
    token, _ = await owned(store)
    for start, body in ((0, b"first"), (7, b"second"), (10, b"third")):
        one = share(token, start, {0: 7, 7: 10, 10: 11}[start])
        one.held, one.held_count = body, start + 1
        one.begun = [7] if start == 10 else []
        assert await store.commit([one])

    _, claim = await owned(store)

    assert list(claim.held) == [(0, 1), (10, 11)]
    assert claim.outbox == []
    assert await store.backlog_row(0, 10) == b"third"
    assert await store.backlog_row(0, 7) is None
    assert await store.backlog_row(1, 10) is None


async def test_dead_letters_are_kept_once(store: Store) -> None:
    token, _ = await owned(store)
    first, second = share(token), share(token, 1, 2)
    first.dead = second.dead = [DeadRow(0, 0, 0, "unreadable", "no JSON", None, b"\xff\x00", 5)]
    assert await store.commit([first])

    with pytest.raises(UNEXPECTED):
        await store.commit([second])

    assert await stands_at(store) == 1


async def test_runs_that_have_not_ended_are_listed_page_by_page(store: Store) -> None:
    token, _ = await owned(store, 0)
    other, _ = await owned(store, 1)
    mine, theirs = share(token), share(other, partition=1)
    mine.rows[RunRow] = [run_row(run) for run in ("d", "b", "a")] + [run_row("c")._replace(created=0)]
    theirs.rows[RunRow] = [run_row("aa", partition=1)]
    assert await store.commit([mine, theirs])
    ended = share(token, 1, 2)
    ended.rows[RunChange] = [change("b")]
    assert await store.commit([ended])

    assert await store.unfinished(0, RunPosition(-1, ""), 2) == [(0, "c"), (1, "a")]
    assert await store.unfinished(0, RunPosition(1, "a"), 2) == [(1, "d")]


async def test_an_unknown_outcome_can_be_read_off_the_cursors(store: Store) -> None:
    mine, _ = await owned(store, 0)
    lost, _ = await owned(store, 1)
    assert await store.commit([share(mine, 0, 4)])
    taken, _ = await owned(store, 1)

    found = await store.cursors([0, 1])

    assert found == {0: (mine, 4, False), 1: (taken, 0, False)}
    assert found[1].token != lost
