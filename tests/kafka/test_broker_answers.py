"""Questions to brokers that nobody answers: each ends in time with an error of ours; its client is left."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from confluent_kafka import KafkaError, KafkaException

import stream_durable.kafka
from stream_durable.core.errors import RejectedError, TransientError
from stream_durable.kafka import rights
from stream_durable.kafka.answers import GROUP_SECONDS, answer_of
from stream_durable.kafka.groups import Groups
from stream_durable.kafka.lives import Kept
from stream_durable.kafka.topic_views import KafkaTopicViews
from stream_durable.kafka.traffic import KafkaTraffic
from stream_durable.settings import KafkaSettings, Settings

INBOX, GROUP = "sd.inbox", "sd.reconciler"
SOURCES: Final = Path(stream_durable.kafka.__file__).parent


class Unanswered(Future[Any]):
    """Nobody answers it, and whoever waits says for how long."""

    def result(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "a wait without a limit"
        raise TimeoutError


def answered(value: object) -> Future[Any]:
    future = Future[Any]()
    future.set_result(value)
    return future


class Silent:
    """Brokers that know their topics, and say nothing of groups."""

    def __init__(self, *topics: str, brokers: int = 1) -> None:
        self._topics = topics
        self._brokers = brokers
        #: How long the client waits by itself for the coordinators of groups.
        self.waits: list[float] = []

    def list_topics(self, *_: object, **__: object) -> Any:
        part = SimpleNamespace(partitions={0: SimpleNamespace(leader=1)}, error=None)
        return SimpleNamespace(
            cluster_id="c",
            brokers=dict.fromkeys(range(self._brokers)),
            topics=dict.fromkeys(self._topics, part),
        )

    def list_offsets(self, asked: dict[Any, Any], **_: object) -> dict[Any, Any]:
        return dict.fromkeys(asked, answered(SimpleNamespace(offset=0)))

    def describe_topics(self, topics: Any, **_: object) -> dict[Any, Any]:
        return dict.fromkeys(topics.topic_names, Unanswered())

    def describe_consumer_groups(self, groups: list[str], *, request_timeout: float) -> dict[Any, Any]:
        self.waits.append(request_timeout)
        return dict.fromkeys(groups, Unanswered())

    def list_consumer_group_offsets(self, asked: list[Any], *, request_timeout: float) -> dict[Any, Any]:
        self.waits.append(request_timeout)
        return {one.group_id: Unanswered() for one in asked}


def test_a_missing_answer_is_an_error_of_the_client() -> None:
    with pytest.raises(KafkaException) as raised:
        answer_of(Unanswered())
    assert raised.value.args[0].code() == KafkaError._TIMED_OUT


def groups(silent: Silent) -> tuple[Kept[Any], Callable[[], object]]:
    made = Groups(KafkaSettings())
    made._admin = Kept(lambda: silent)  # type: ignore[assignment, return-value]
    return made._admin, lambda: made._read({INBOX: GROUP})


def traffic(silent: Silent) -> tuple[Kept[Any], Callable[[], object]]:
    made = KafkaTraffic(KafkaSettings(), "sd", client="test")
    made._admin = Kept(lambda: silent)  # type: ignore[assignment, return-value]
    return made._admin, lambda: made._look(INBOX, 0, GROUP)


@pytest.mark.parametrize("asking", [groups, traffic])
def test_a_silent_coordinator_is_given_up_by_us_and_not_by_the_client(asking: Any) -> None:
    silent = Silent(INBOX)
    kept, ask = asking(silent)

    with pytest.raises(TransientError, match=r"kafka\.bootstrap"):
        ask()

    # A client that gives such a question up ends the process when its brokers come back.
    assert set(silent.waits) == {GROUP_SECONDS}
    assert kept.made is None


def test_positions_of_a_group_are_given_up_by_us(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Silent(INBOX)
    monkeypatch.setattr("stream_durable.kafka.topic_views.Admin", lambda *_: silent)

    with pytest.raises(TransientError, match=r"kafka\.bootstrap"):
        KafkaTopicViews(KafkaSettings(), "sd", client="test")._committed(GROUP)
    assert silent.waits == [GROUP_SECONDS]


def test_rights_that_nobody_tells_are_no_end_of_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "Admin", lambda *_: Silent())

    with pytest.raises(TransientError):
        rights._excess(Settings(), "worker")


@pytest.mark.parametrize(("brokers", "kind"), [(0, TransientError), (1, RejectedError)])
def test_a_topic_that_is_not_there_is_named(brokers: int, kind: type[Exception]) -> None:
    _, ask = groups(Silent(brokers=brokers))

    with pytest.raises(kind, match=r"no broker has registered yet|there is no topic sd\.inbox"):
        ask()


def test_each_answer_is_awaited_with_a_limit() -> None:
    for source in SOURCES.glob("*.py"):
        text = source.read_text()
        assert source.name == "answers.py" or not re.search(r"\.result\(", text), source.name
        for call in re.findall(r"(?:describe_consumer_groups|list_consumer_group_offsets)\([^)]*\)", text):
            assert "request_timeout=GROUP_SECONDS" in call, f"{source.name}: {call}"
