"""What may be skipped after a crash, and that nothing else ever is."""

from __future__ import annotations

import base64
import random
import string
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_durable.worker.offsets import (
    DELTAS_MAX,
    METADATA_MAX,
    PAYLOAD_MAX,
    Commit,
    DoneOffsets,
    _checksum,
    _from_deltas,
    _to_deltas,
)

FITS_ALWAYS = PAYLOAD_MAX * 8


def worker(
    taken: Iterable[int], done: Iterable[int] = (), *, window_max: int = 24_000, topic_id: str = ""
) -> DoneOffsets:
    offsets = DoneOffsets(window_max=window_max, topic_id=topic_id)
    for offset in taken:
        assert offsets.take(offset)
    for offset in done:
        offsets.done(offset)
    return offsets


def resume(commit: Commit) -> DoneOffsets:
    return DoneOffsets.resume(commit.offset, commit.metadata)


def rerun(offsets: DoneOffsets, log: Iterable[int]) -> list[int]:
    return [offset for offset in log if offsets.take(offset)]


def test_without_a_commit_or_a_record_there_is_no_base() -> None:
    for offsets in (DoneOffsets(), DoneOffsets.resume(None, "x"), DoneOffsets.resume(-1001, None)):
        assert offsets.base is None
        assert not offsets.is_dirty
        assert not offsets.is_full
        with pytest.raises(AssertionError):
            offsets.snapshot()


def test_a_resumed_partition_starts_at_its_commit_with_nothing_to_say() -> None:
    offsets = DoneOffsets.resume(0, None)

    assert offsets.base == 0
    assert not offsets.is_dirty


def test_base_is_the_lowest_unfinished_offset() -> None:
    offsets = worker(range(10, 15), done=[10, 11, 13])

    assert offsets.base == 12


def test_base_is_after_the_highest_offset_once_all_are_done() -> None:
    offsets = worker([10, 11, 15], done=[15, 10, 11])

    assert offsets.base == 16
    assert offsets.snapshot().metadata == ""


def test_a_commit_that_was_not_stored_is_due_again() -> None:
    offsets = DoneOffsets.resume(7, None)
    assert offsets.is_due
    offsets.snapshot(ahead=20)
    assert not offsets.is_due

    offsets.refused()

    assert offsets.is_due


def test_a_commit_says_no_more_to_begin_than_twice_what_came_since_the_last_one() -> None:
    offsets = DoneOffsets.resume(0, None)
    offsets.snapshot(ahead=8)
    came = 0
    for number in (100, 100, 150, 0):
        for offset in range(came, came + number):
            offsets.take(offset)
        came += number
        commit = offsets.snapshot(ahead=8)
        assert DoneOffsets.resume(0, commit.metadata).suspect_below == came + max(8, 2 * number)


def test_a_steady_rate_makes_no_commit_due_before_its_time() -> None:
    offsets = DoneOffsets.resume(0, None)
    offsets.snapshot(ahead=8)
    for offset in range(100):
        offsets.take(offset)
    assert offsets.is_due
    offsets.snapshot(ahead=8)

    for offset in range(100, 240):
        offsets.take(offset)
    assert not offsets.is_due


def test_offsets_that_never_arrive_count_as_done() -> None:
    offsets = worker([3, 90, 4_000], done=[3])

    assert offsets.base == 90


def test_done_twice_or_for_an_unknown_offset_changes_nothing() -> None:
    offsets = worker([1, 2, 3], done=[2])
    before = offsets.snapshot()

    offsets.done(2)
    offsets.done(77)
    offsets.done(-1)

    assert offsets.snapshot() == before


def test_after_a_crash_only_what_was_unfinished_runs_again() -> None:
    commit = worker(range(10, 20), done=[11, 12, 14, 17]).snapshot()

    offsets = resume(commit)

    assert commit.offset == 10
    assert rerun(offsets, range(10, 22)) == [10, 13, 15, 16, 18, 19, 20, 21]


def test_the_map_ends_at_the_highest_done_and_not_at_the_highest_received() -> None:
    one = worker(range(10), done=[1]).snapshot()
    other = worker(range(10_000), done=[1]).snapshot()

    assert one == other


def test_what_the_last_owner_knew_outlives_a_crash_before_it_was_received_again() -> None:
    first = worker(range(100), done=set(range(100)) - {0, 50})
    second = resume(first.snapshot())
    assert second.take(0)
    second.done(0)

    third = resume(second.snapshot())

    assert third.base == 1
    assert rerun(third, range(1, 100)) == [50]


def test_the_last_offset_of_a_map_is_told_too() -> None:
    first = worker(range(3), done=[1, 2])
    second = resume(first.snapshot())
    second.take(0)
    second.done(0)
    second.take(1)

    commit = second.snapshot()

    assert commit.offset == 2
    assert rerun(resume(commit), range(2, 5)) == [3, 4]


def test_skipping_moves_the_base_and_is_worth_a_commit() -> None:
    offsets = resume(worker(range(5), done=[1, 2, 3, 4]).snapshot())
    offsets.take(0)
    offsets.done(0)
    offsets.confirmed(offsets.snapshot())

    assert rerun(offsets, range(1, 5)) == []

    assert offsets.base == 5
    assert offsets.is_dirty


def test_a_completion_that_lands_during_a_commit_stays_dirty() -> None:
    offsets = worker([1, 2, 3], done=[1])
    commit = offsets.snapshot()
    offsets.done(3)

    offsets.confirmed(commit)

    assert offsets.is_dirty


def test_a_confirmed_commit_of_all_that_was_done_leaves_nothing_to_commit() -> None:
    offsets = worker([1, 2, 3], done=[1, 3])

    offsets.confirmed(offsets.snapshot())

    assert not offsets.is_dirty


def test_a_commit_that_fails_leaves_it_dirty() -> None:
    offsets = worker([1, 2], done=[2])

    offsets.snapshot()

    assert offsets.is_dirty


def test_taking_alone_is_not_worth_a_commit() -> None:
    assert not worker([1, 2, 3]).is_dirty


def test_the_last_confirmed_commit_counts_even_if_it_is_the_older_one() -> None:
    offsets = worker([1, 2, 3], done=[1])
    older = offsets.snapshot()
    offsets.done(2)
    offsets.confirmed(offsets.snapshot())

    offsets.confirmed(older)

    assert offsets.is_dirty


def test_a_window_three_quarters_full_takes_no_more_until_its_head_is_done() -> None:
    offsets = worker(range(75), done=range(1, 75), window_max=100)
    below = offsets.is_full
    offsets.take(75)
    reached = offsets.is_full
    offsets.done(0)

    assert (below, reached, offsets.is_full) == (False, True, False)


def test_a_full_window_still_takes_what_is_in_flight() -> None:
    offsets = worker(range(200), window_max=100)

    assert offsets.is_full
    assert offsets.take(200)


def test_records_gone_from_the_log_are_dropped_from_the_map() -> None:
    commit = worker(range(100), done=set(range(100)) - {0, 10, 50}).snapshot()

    offsets = resume(commit)

    assert rerun(offsets, range(30, 102)) == [50, 100, 101]
    assert offsets.base == 50


def test_a_log_that_starts_above_all_we_knew_runs_whole() -> None:
    offsets = resume(worker(range(100), done=range(1, 100)).snapshot())

    assert rerun(offsets, [500, 501]) == [500, 501]
    assert offsets.base == 500
    assert offsets.snapshot().metadata == ""


def test_a_log_that_starts_below_base_runs_whole_and_is_committed_there() -> None:
    offsets = resume(worker(range(50, 60), done=range(51, 60)).snapshot())

    assert rerun(offsets, range(20, 60)) == list(range(20, 60))
    assert offsets.base == 20
    assert offsets.is_dirty


def test_a_position_moved_back_keeps_what_lies_below_and_forgets_the_rest() -> None:
    offsets = worker(range(10), done=[1, 2, 6, 7])

    assert rerun(offsets, [2, 3]) == [2, 3]

    assert offsets.base == 0
    assert rerun(resume(offsets.snapshot()), range(10)) == [0, 2, 3, 4, 5, 6, 7, 8, 9]
    for offset in (0, 2, 3):
        offsets.done(offset)
    assert offsets.base == 4


def test_a_move_back_right_after_an_unfinished_offset_does_not_lose_it() -> None:
    offsets = worker(range(10), done=[9])
    offsets.take(6)

    assert rerun(resume(offsets.snapshot()), range(10)) == list(range(10))


def test_a_completion_above_the_place_moved_back_to_is_not_believed() -> None:
    offsets = worker(range(10))
    offsets.take(2)

    offsets.done(9)

    assert rerun(resume(offsets.snapshot()), range(10)) == list(range(10))


def test_a_window_up_to_the_guarantee_always_fits() -> None:
    rng = random.Random(1)
    done = rng.sample(range(1, FITS_ALWAYS), FITS_ALWAYS // 2) + [FITS_ALWAYS - 1]

    commit = worker(range(FITS_ALWAYS), done).snapshot()

    assert 3_900 < len(commit.metadata) <= METADATA_MAX
    assert rerun(resume(commit), range(FITS_ALWAYS)) == sorted(set(range(FITS_ALWAYS)) - set(done))


def test_a_map_that_does_not_fit_is_left_out() -> None:
    rng = random.Random(1)
    done = rng.sample(range(1, 60_000), 30_000) + [59_999]

    commit = worker(range(60_000), done).snapshot()

    assert commit.offset == 0
    assert commit.metadata == ""


def test_a_huge_window_fits_while_little_of_it_is_unfinished() -> None:
    unfinished = set(range(0, 300_000, 1_000))

    commit = worker(range(300_000), done=set(range(300_000)) - unfinished).snapshot()

    assert 0 < len(commit.metadata) <= METADATA_MAX
    assert rerun(resume(commit), range(300_000)) == sorted(unfinished)


def test_more_unfinished_offsets_than_we_would_read_back_are_left_out() -> None:
    commit = worker(range(DELTAS_MAX + 1), done=[DELTAS_MAX]).snapshot()

    assert commit.metadata == ""


def test_offsets_as_far_apart_as_kafka_allows_are_told() -> None:
    top = 2**63 - 1

    commit = worker([0, 1, top - 1, top], done=[1, top]).snapshot()

    assert rerun(resume(commit), [0, 1, top - 1, top]) == [0, top - 1]


@pytest.mark.parametrize("unfinished", [range(0, 100, 2), [0]], ids=["bitset", "deltas"])
def test_metadata_of_another_base_or_topic_is_ignored(unfinished: Iterable[int]) -> None:
    done = set(range(5_000)) - set(unfinished)
    commit = worker(range(5_000), done, topic_id="orders").snapshot()

    ours = DoneOffsets.resume(0, commit.metadata, topic_id="orders")
    moved = DoneOffsets.resume(1, commit.metadata, topic_id="orders")
    recreated = DoneOffsets.resume(0, commit.metadata, topic_id="other")

    assert rerun(ours, range(5_000)) == list(unfinished)
    assert rerun(moved, range(1, 5_000)) == list(range(1, 5_000))
    assert rerun(recreated, range(5_000)) == list(range(5_000))


def test_both_codecs_are_used() -> None:
    dense = worker(range(1_000), done=random.Random(1).sample(range(1, 1_000), 500))
    sparse = worker(range(1_000), done=range(1, 1_000))

    assert dense.snapshot().metadata[:2] == "1b"
    assert sparse.snapshot().metadata[:2] == "1d"


@pytest.mark.parametrize(
    ("unfinished", "other"), [(random.Random(1).sample(range(499), 250), "d"), ([0, 7], "b")]
)
def test_metadata_under_the_other_codec_is_ignored(unfinished: Iterable[int], other: str) -> None:
    log = range(min(unfinished), 500)
    commit = worker(log, done=set(log) - set(unfinished)).snapshot()
    assert commit.metadata[1] != other

    offsets = DoneOffsets.resume(commit.offset, "1" + other + commit.metadata[2:])

    assert rerun(offsets, log) == list(log)


def test_intact_metadata_of_a_later_version_is_ignored() -> None:
    commit = worker(range(10), done=range(1, 10)).snapshot()

    later = DoneOffsets.resume(0, "2" + commit.metadata[1:])

    assert rerun(later, range(10)) == list(range(10))


def sealed(codec: str, payload: bytes) -> str:
    """Metadata with a right checksum, whatever it says."""
    body = base64.urlsafe_b64encode(_checksum(codec, 0, "", payload) + payload).decode()
    return "1" + codec + body.rstrip("=")


def deflated(raw: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(raw) + deflate.flush()


@pytest.mark.parametrize(
    "metadata",
    [
        sealed("x", b"\xff"),
        sealed("d", b""),
        sealed("d", b"\xff\xff"),
        sealed("d", deflated(b"")),
        sealed("d", deflated(b"\x05\x00")[:-1]),
        sealed("d", deflated(b"\x05\x80")),
        sealed("d", deflated(b"\x05" + b"\x80" * 100_000 + b"\x01")),
        sealed("d", deflated(b"\x05" + b"\x01" * DELTAS_MAX)),
        sealed("b", b""),
        sealed("b", b"\x00\x00"),
    ],
)
def test_a_sound_checksum_over_nonsense_is_ignored(metadata: str) -> None:
    assert rerun(DoneOffsets.resume(0, metadata), range(20)) == list(range(20))


def test_deltas_at_the_limit_are_read_back_and_one_more_is_not_written() -> None:
    base, top = 0, 2 * DELTAS_MAX
    most = list(range(1, DELTAS_MAX - 2))  # beside the three bytes of the top

    payload = _to_deltas(base, top, most)

    assert payload is not None
    assert _from_deltas(base, payload).unfinished == set(most)
    assert _to_deltas(base, top, [*most, DELTAS_MAX]) is None


# Logs are ascending offsets with gaps; a plan is a sequence of what happens to their owner.
logs = st.lists(st.integers(1, 40), min_size=1, max_size=60).map(
    lambda gaps: [sum(gaps[: i + 1]) - 1 for i in range(len(gaps))]
)
plans = st.lists(
    st.one_of(
        st.tuples(st.just("poll"), st.integers(1, 20)),
        st.tuples(st.just("finish"), st.integers(0, 1_000)),
        st.tuples(st.sampled_from(["snapshot", "confirm", "crash"]), st.just(0)),
    ),
    max_size=150,
)


class Partition:
    """A log, the group's commit in the broker, and owners that come and go."""

    def __init__(self, log: list[int]) -> None:
        self.log = log
        self.finished: set[int] = set()
        self.committed = Commit(-1, "", 0)
        self.told: frozenset[int] = frozenset()
        self.crash()

    def crash(self) -> None:
        self.owner = DoneOffsets.resume(self.committed.offset, self.committed.metadata)
        self.unread = [offset for offset in self.log if offset >= self.committed.offset]
        self.running: list[int] = []
        self.known = set(self.told)
        self.in_flight: tuple[Commit, frozenset[int]] | None = None

    def poll(self, count: int) -> None:
        for offset in self.unread[:count]:
            skipped = not self.owner.take(offset)
            assert skipped == (offset in self.told)
            assert not skipped or offset in self.finished
            if not skipped:
                self.running.append(offset)
        del self.unread[:count]

    def finish(self, which: int) -> None:
        if self.running:
            offset = self.running.pop(which % len(self.running))
            self.finished.add(offset)
            self.known.add(offset)
            self.owner.done(offset)

    def snapshot(self) -> None:
        if self.owner.base is not None:
            commit = self.owner.snapshot()
            self.check(commit)
            self.in_flight = (commit, frozenset(self.known))

    def confirm(self) -> None:
        if self.in_flight is not None:
            self.committed, self.told = self.in_flight
            self.owner.confirmed(self.committed)
            assert self.owner.is_dirty or self.told == self.known

    def check(self, commit: Commit) -> None:
        assert commit.metadata.isascii()
        assert len(commit.metadata) <= METADATA_MAX
        assert commit.offset == self.owner.base
        assert not any(o < commit.offset for o in self.log if o not in self.finished)
        if self.running:
            assert commit.offset == min(self.running)


@given(logs, plans)
def test_no_crash_skips_what_was_not_done_or_repeats_what_was_committed_as_done(
    log: list[int], plan: list[tuple[str, int]]
) -> None:
    partition = Partition(log)

    for action, number in plan:
        if action == "poll":
            partition.poll(number)
        elif action == "finish":
            partition.finish(number)
        else:
            getattr(partition, action)()

    partition.crash()
    partition.poll(len(log))
    while partition.running:
        partition.finish(0)
    assert partition.finished == set(log)
    assert partition.owner.base == log[-1] + 1


@given(
    st.integers(0, 2**62),
    st.sets(st.integers(0, 30_000), max_size=300),
    st.sets(st.integers(0, 30_000), max_size=300),
)
def test_a_map_comes_back_as_it_was_told(start: int, done: set[int], pending: set[int]) -> None:
    taken = [start + offset for offset in sorted(done | pending)]
    finished = {start + offset for offset in done - pending}
    offsets = worker(taken, finished)

    again = resume(offsets.snapshot()) if taken else offsets

    base = offsets.base or 0
    assert rerun(again, [offset for offset in taken if offset >= base]) == [
        start + offset for offset in sorted(pending)
    ]


@given(st.integers(0, 2**32), st.integers(1, 60_000), st.floats(0, 1))
@settings(deadline=None)
@example(0, FITS_ALWAYS, 0.5)
@example(0, FITS_ALWAYS + 1, 0.5)
def test_metadata_never_exceeds_the_limit_and_is_never_wrong(seed: int, span: int, share: float) -> None:
    rng = random.Random(seed)
    log = [offset for offset in range(span) if offset == 0 or rng.random() < 0.9]
    unfinished = [offset for offset in log if offset == 0 or rng.random() < share]
    commit = worker(log, done=set(log) - set(unfinished)).snapshot()

    again = rerun(resume(commit), log)

    assert commit.metadata.isascii()
    assert len(commit.metadata) <= METADATA_MAX
    fits = bool(commit.metadata) or log == unfinished
    assert fits or span > FITS_ALWAYS
    assert again == (unfinished if fits else log)


garbage = st.one_of(
    st.text(),
    st.text(string.ascii_letters + string.digits + "-_", max_size=200).map(lambda t: "1b" + t),
    st.text(string.ascii_letters + string.digits + "-_=+/", max_size=200).map(lambda t: "1d" + t),
    st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")),
    st.text("A", min_size=METADATA_MAX + 1, max_size=METADATA_MAX + 9),
)


@given(garbage)
@example("")
@example("1")
@example("1b")
@example("1d=")
@example("1bé")
@example("1b\ud800")
@example("\0" * 5_000)
def test_garbage_is_ignored(metadata: str) -> None:
    offsets = DoneOffsets.resume(7, metadata)

    assert offsets.base == 7
    assert rerun(offsets, range(7, 50)) == list(range(7, 50))


@given(st.data())
def test_a_damaged_character_is_noticed(data: st.DataObject) -> None:
    unfinished = {0, *data.draw(st.sets(st.integers(0, 200)))}
    metadata = worker(range(300), done=set(range(300)) - unfinished).snapshot().metadata
    at = data.draw(st.integers(0, len(metadata) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_=é "))

    damaged = metadata[:at] + other + metadata[at + 1 :]
    ran = rerun(DoneOffsets.resume(0, damaged), range(300))

    assert ran in (list(range(300)), sorted(unfinished))


@given(st.text(max_size=5), st.text(max_size=5))
def test_a_topic_id_may_be_any_text(ours: str, theirs: str) -> None:
    commit = worker(range(3), done=[2], topic_id=ours).snapshot()

    again = DoneOffsets.resume(0, commit.metadata, topic_id=theirs)

    assert rerun(again, range(3)) == ([0, 1] if ours == theirs else [0, 1, 2])
