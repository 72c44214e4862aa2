"""Observations of a world from outside, during the run."""

from __future__ import annotations

from collections.abc import Callable

from stream_durable.memory.store import MemoryStore
from stream_durable.memory.tables import Tables
from stream_durable.ports import Record
from stream_durable.simulation.clients import Clients
from stream_durable.wire.topics import INBOX, RUNS, STEPS


class Journal:
    """Records faults when seen, and facts invisible later."""

    def __init__(self, store: MemoryStore, clients: Clients, complain: Callable[[str], None]) -> None:
        """Nothing was seen yet."""
        self._store = store
        self._clients = clients
        self._complain = complain
        #: (topic, partition, offset) of records on command topics that make no sense.
        self.garbage_commands: set[tuple[str, int, int]] = set()
        #: By run, how many statements had been saved when the store was set back.
        self._saved: dict[str, tuple[int, int]] = {}
        #: Rows of messages that had been removed when the store was set back, and were there again.
        self._again: set[tuple[tuple[int, int], object]] = set()
        #: When the offsets of workers were forgotten, by the log's clock.
        self.forgotten: list[int] = []

    def watch(self, topic: str, record: Record) -> None:
        """Check a record at the moment of reaching the log."""
        if topic in (STEPS, RUNS):
            self._watch_statement(topic, record)
        elif topic != INBOX and (topic, record.key, record.value) in self._clients.garbage:
            self.garbage_commands.add((topic, record.partition, record.offset))

    def restore(self, kept: Tables) -> None:
        """Restore the database to an earlier moment; its users have to notice."""
        tables = self._store.tables
        self._saved.update({run: self._said(run) for run in tables.runs})
        self._again |= kept.outbox.items() - tables.outbox.items()
        self._again |= kept.backlog.items() - tables.backlog.items()
        self._store.tables = kept

    def unpublished(self) -> list[tuple[int, int]]:
        """Return the content of the outbox, and what is held back.

        Without rows removed before a set-back of the store: their messages are published, unnoticed until the
        next takeover.
        """
        tables = self._store.tables
        rows = (*tables.outbox.items(), *tables.backlog.items())
        return [place for place, row in rows if (place, row) not in self._again]

    def _watch_statement(self, topic: str, record: Record) -> None:
        """Nothing is published before the save."""
        identity = dict(record.headers or ())["ce_id"].decode()
        run_id, _, sequence = identity.rsplit("/", 2)
        if self._said(run_id)[topic == RUNS] < int(sequence):
            self._complain(f"{identity} was published before it was saved")

    def _said(self, run_id: str) -> tuple[int, int]:
        """Return how many statements about steps of a run, and about itself, have ever been saved."""
        run = self._store.tables.runs.get(run_id)
        steps, runs = self._saved.get(run_id, (0, 0))
        return (steps, runs) if run is None else (max(steps, run.step_sequence), max(runs, run.run_sequence))
