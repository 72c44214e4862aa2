"""Tables by kind are total: what `match` and `assert_never` hold for code, this holds for dictionaries."""

from __future__ import annotations

from typing import get_args

from stream_durable.client import waiting
from stream_durable.core.definition.nodes import AnyNode, Node
from stream_durable.core.messages import AttemptEnd, AttemptFailed
from stream_durable.core.run.cause import CauseKind
from stream_durable.sdk.answers import ANSWERS
from stream_durable.worker import ends


def test_every_kind_of_node_is_in_the_union() -> None:
    assert set(get_args(AnyNode)) == set(Node.__subclasses__())


def test_every_answer_has_its_message() -> None:
    from_processes = set(AttemptEnd.__subclasses__()) - {AttemptFailed}

    assert set(ends._ANSWERS) == {*ANSWERS, *from_processes}


def test_every_cause_of_waiting_has_its_words() -> None:
    assert set(waiting._WORDS) == set(get_args(CauseKind))
