"""The language broken on purpose, one promise after the other: each breach must be found.

The oracle folds with the same broken code, so only what is promised can tell, and never a comparison of two
folds, unless the breach is in how a run comes back from the store.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace as replace_fields
from simulation.broken import found

from stream_durable.core.channel import fold as channel_fold
from stream_durable.core.channel import reading
from stream_durable.core.channel.state import Channel
from stream_durable.core.definition.nodes import BesideNode
from stream_durable.core.effects import Effects
from stream_durable.core.entities import ENTITIES
from stream_durable.core.fold import HANDLERS
from stream_durable.core.messages import AnswerInput, Change, ResumeRun, WaitClosed
from stream_durable.core.run import (
    advance,
    again,
    answers,
    attempts,
    beside,
    context,
    counters,
    ending,
    groups,
    reactions,
    rows,
    tokens,
    waiting,
)
from stream_durable.core.run.mail import KeptSignal, Mail
from stream_durable.core.run.state import Open, Requests, Run, Step
from stream_durable.core.status import SKIPPED, Outcome
from stream_durable.engine import loading
from stream_durable.memory.weather import Faults
from stream_durable.worker import ends

#: Everything is loaded again and again, and nobody dies.
HANDED_OVER = Faults(handovers=1.5, delay=0.002)


def test_members_whose_end_counts_twice_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    count = groups.member_ended

    def twice(*args: Any, **options: Any) -> None:
        count(*args, **options)
        count(*args, **options)

    monkeypatch.setattr(groups, "member_ended", twice)

    found(20, by="groups_wait_for_their_members")


def test_a_taken_event_that_is_not_given_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_fold, "_give_back", lambda *ignored: None)

    found(20, by="an_event_is_taken_by_one", only=("taking",))


def test_an_event_that_is_free_again_though_it_was_taken_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Channel, "use_event", Channel.free_event)

    found(20, by="an_event_is_taken_by_one", only=("taking",))


def test_undoing_in_the_order_of_completion_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forwards(undo: Iterable[Any]) -> list[Any]:
        return sorted(undo, reverse=True)

    monkeypatch.setattr(ending, "sorted", forwards, raising=False)

    found(40, by="undoing_goes_backwards")


def test_a_join_that_one_member_is_enough_for_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def met(counts: list[int], enough: int, size: int) -> bool | None:
        return True

    monkeypatch.setattr(advance, "join_verdict", met)
    monkeypatch.setattr(counters, "join_verdict", met)

    found(60, by="steps_begin_in_order")


def test_a_clause_whose_inner_steps_are_not_skipped_with_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    close = groups.close

    def leave_members(run: Run, owner: int, group: Step, ends: list[Any]) -> None:
        close(run, owner, group, [] if group.status == SKIPPED else ends)

    monkeypatch.setattr(groups, "close", leave_members)

    found(40, by="everything_has_ended")


def test_a_resumption_that_forgets_what_was_held_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    resume = HANDLERS[ResumeRun]

    def forget(run: Run, message: ResumeRun, now: int, out: Effects) -> Outcome:
        for step in run.steps.values():
            if step.detail is not None:
                step.detail.held = ""
        return resume(run, message, now, out)

    monkeypatch.setitem(HANDLERS, ResumeRun, forget)

    found(40, by="everything_has_ended")


def test_an_order_that_is_carried_out_again_when_it_comes_again_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Requests, "remember", lambda self, order: None)

    found(150, by="everything_has_ended", faults=Faults(duplicate=0.4))


def test_a_child_that_is_forgotten_when_its_parent_is_loaded_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thaw = rows.thaw_step

    def without_child(row: Any) -> Step:
        step = thaw(row)
        if step.detail is not None:
            step.detail.child = ""
        return step

    monkeypatch.setattr(rows, "thaw_step", without_child)

    found(60, by="everything_has_ended", faults=HANDED_OVER)


def test_a_turn_that_is_forgotten_when_a_group_is_loaded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    give = counters._give_turns

    def one_too_few(run: Run, i: int, opened: Open) -> None:
        give(run, i, opened)
        if opened.turn > 1:
            opened.turn -= 1
            run.need[run.graph.members[i][opened.turn]] += 1

    monkeypatch.setattr(counters, "_give_turns", one_too_few)

    found(100, by="state_is_the_fold_of_the_log", faults=HANDED_OVER)


def test_a_context_that_is_forgotten_when_a_run_is_loaded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_context", lambda data: {})

    found(20, by="state_is_the_fold_of_the_log", faults=HANDED_OVER)


def test_a_new_try_that_numbers_attempts_from_the_beginning_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    anew = again._anew

    def from_one(step: Step) -> Step:
        fresh = anew(step)
        fresh.attempt = fresh.detailed().first = 1
        return fresh

    monkeypatch.setattr(again, "_anew", from_one)

    found(40, by="outputs_come_from_calls")


def test_a_step_under_way_that_is_not_waited_for_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advance, "must_answer", lambda run, i: False)

    found(60, by="what_was_done_is_undone", faults=Faults.none())


def test_a_decided_race_that_is_held_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again.races, "settled", lambda run: set())

    found(150, by="what_was_decided_stays_decided")


def test_a_parent_that_is_not_told_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "tell_parent", lambda run, out: None)

    found(20, by="children_and_parents_know_of_each_other")


def test_a_child_that_outlives_its_parent_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "cancel_child", lambda *step, **how: None)

    found(60, by="children_and_parents_know_of_each_other")


def test_attempts_that_are_forgotten_when_a_gate_is_loaded_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = ENTITIES["gate"]
    without = replace(
        kind, thaw=lambda key, home, parts, graphs: kind.thaw(key, home, (parts[0], ()), graphs)
    )
    monkeypatch.setattr(loading, "ENTITIES", {**ENTITIES, "gate": without})

    found(150, by="everything_has_ended", faults=HANDED_OVER)


def test_changes_that_are_made_twice_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    change = context.change
    monkeypatch.setattr(
        context, "change", lambda run, changes, output=None: change(run, (*changes, *changes), output)
    )

    found(5, by="the_context_holds_what_was_left")


def test_a_jump_that_passes_over_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_between", lambda run, i, to: [])

    found(60, by="a_jump_passes_over_what_lies_between")


def test_a_wait_that_a_late_message_of_a_replaced_owner_closes_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def close(channel: Channel, message: WaitClosed, now: int, out: Effects) -> Outcome:
        key = (message.run, message.wait)
        is_open = key in channel.waits
        channel.remove_wait(key)
        return Outcome.APPLIED if is_open else Outcome.LATE

    monkeypatch.setitem(HANDLERS, WaitClosed, close)

    stopped = Faults(stall=0.05, delay=0.002)
    found(100, by="waits_are_open_on_their_channels", faults=stopped, only=("renewed",))


def test_outputs_that_are_merged_into_the_context_by_themselves_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take = attempts.take

    def merging(run: Run, *args: Any, output: bytes | None = None, **options: Any) -> Any:
        failure = take(run, *args, **options)
        return failure or (None if output is None else context.change(run, (), output))

    monkeypatch.setattr(attempts, "take", merging)
    found(40, by="the_context_holds_nothing_else")


def test_another_value_than_the_output_under_the_key_of_into_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def other(key: str, end: Any) -> Any:
        end.changes = (Change("put", key, Raw(b'"other"')),)
        return end

    monkeypatch.setattr(ends, "_put", other)
    found(60, by="the_context_holds_nothing_else", only=("tally", "bulky"))


def test_an_answer_that_is_taken_for_another_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    take = HANDLERS[AnswerInput]

    def another(run: Run, message: AnswerInput, now: int, out: Effects) -> Outcome:
        if bytes(message.answer) == b'"yes"':
            message = replace_fields(message, answer=Raw(b'"no"'))
        return take(run, message, now, out)

    monkeypatch.setitem(HANDLERS, AnswerInput, another)

    found(20, by="a_question_is_answered_once", only=("asking",))


def test_an_early_end_from_outside_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "keep", lambda step, output, failure: None)

    found(40, by="an_end_from_outside_counts_once", only=("handed",))


def test_a_second_end_from_outside_that_is_taken_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = tokens._passed

    def forgetful(run: Run, step: Step | None, message: Any, attempt: int) -> Outcome | None:
        if step is not None and step.detail is not None and step.detail.outside is not None:
            step.detail.outside.id = ""
        return passed(run, step, message, attempt)

    monkeypatch.setattr(tokens, "_passed", forgetful)

    found(40, by="an_end_from_outside_counts_once", only=("handed",))


def test_inquiries_that_overtake_one_another_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    in_order = beside._open_of
    monkeypatch.setattr(beside, "_open_of", lambda run, name: in_order(run, name)[::-1])

    found(40, by="inquiries_are_answered_one_by_one", only=("answering",))


def test_reactions_that_overtake_one_another_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def newest(mail: Mail, signals: Collection[str], now: int) -> KeptSignal | None:
        for position, kept in reversed(mail.kept.items()):
            if kept.name in signals and not kept.is_over(now):
                return mail._remove(position)
        return None

    monkeypatch.setattr(Mail, "take", newest)

    found(20, by="signals_are_reacted_to_one_by_one", only=("reacting",))


def test_events_that_a_reaction_is_not_given_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "bisect_right", lambda order, *ignored, **key: len(order) - 1)

    found(40, by="reactions_get_all_events_in_order", only=("informed",))


def test_a_reaction_that_does_not_ask_for_more_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "is_behind", lambda channel: False)
    monkeypatch.setattr(
        reading,
        "_next",
        lambda channel, key, reader, now, out, room=1: reading.insort(channel.idle, (reader.cursor, *key)),
    )

    found(20, by="an_event_is_taken_by_one", only=("informed",))


def test_more_calls_at_once_than_a_reaction_may_have_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    begin_next = beside.begin_next

    def without_bound(run: Run, node: BesideNode, now: int, out: Effects) -> None:
        begin_next(run, replace_fields(node, concurrency=9), now, out)

    monkeypatch.setattr(beside, "begin_next", without_bound)

    found(40, by="signals_are_reacted_to_one_by_one", only=("reacting",))


def test_reactions_that_cancel_nothing_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reactions, "cancel", lambda *ignored: Outcome.APPLIED)

    found(20, by="a_reaction_that_cancels_its_run_is_the_end_of_it", only=("reacting",))


def test_notes_that_are_forgotten_when_a_question_is_loaded_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thaw = rows.thaw_step

    def forgetful(row: Any) -> Step:
        step = thaw(row)
        if step.detail is not None and step.detail.asked is not None:
            step.detail.asked.changes.clear()
        return step

    monkeypatch.setattr(rows, "thaw_step", forgetful)

    found(20, by="state_is_the_fold_of_the_log", faults=HANDED_OVER, only=("asking",))
