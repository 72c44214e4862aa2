"""What a worker is at, noted for whoever sees to its end."""

from __future__ import annotations

from tempfile import TemporaryFile

from stream_durable.core.effects import Command
from stream_durable.worker.job import Job
from stream_durable.worker.note import Note, noted
from stream_durable.worker.offsets import DoneOffsets


def job(run: str, step: str = "step", attempt: int = 1) -> Job:
    command = Command(run=run, step=step, attempt=attempt, workflow="w", fingerprint="f")
    return Job(command, DoneOffsets(), 0)


def test_the_latest_of_what_was_noted_is_read() -> None:
    with TemporaryFile() as file:
        assert noted(file) == []
        note = Note(file.fileno())
        note.write(job(f"a long run {n}") for n in range(100))
        assert noted(file) == [f"a long run {n}/step/1" for n in range(10)]
        note.write([job("run", "charge", 3)])
        assert noted(file) == ["run/charge/3"]
        note.write([])
        assert noted(file) == []


def test_what_is_cut_off_or_foreign_is_no_note() -> None:
    with TemporaryFile() as file:
        file.write(b'["run/step/1", "ru')
        file.flush()
        assert noted(file) == []
