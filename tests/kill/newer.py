"""The next release, in what tells it from this one: a format more, a type of message and a field more.

`python -m kill.newer reconciler` runs the ordinary command line of it, and so for every other command; with
`note PREFIX.inbox RUN ...` it is a client that says what only that release understands.
"""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

#: Not taken from this release: it is imported only once it is changed.
_FORMAT = 3
_SIGNAL = '    """A signal to a run, by name."""\n\n    id: Text\n    signal: Text\n'
_NOTE = f'''

class NoteRun(RunMessage, kw_only=True, tag="run.note"):
    """Note something about a run."""

    id: Text
    text: Text
    format: Format = {_FORMAT}

'''
_LISTED = """
from stream_durable.core.messages.waits import NoteRun

AnyMessage = AnyMessage | NoteRun
MESSAGE_TYPES = (*MESSAGE_TYPES, NoteRun)
"""
_FOLD = f"""

def _note(run: Run, message: Any, now: int, out: Effects) -> Outcome:
    from stream_durable.core.status import Outcome

    if out.format < {_FORMAT}:
        raise RejectedError("too_early", "it takes format {_FORMAT}")
    return Outcome.APPLIED


from stream_durable.core import messages as _messages

HANDLERS[_messages.NoteRun] = _note
"""
#: Module -> what is put in place of what, and what follows.
_CHANGES = {
    "stream_durable.core.format": ((f"FORMAT: Final = {_FORMAT - 1}", f"FORMAT: Final = {_FORMAT}"), ""),
    "stream_durable.core.messages": (("", ""), _LISTED),
    "stream_durable.core.messages.waits": ((_SIGNAL, f'{_SIGNAL}    note: str = ""\n'), _NOTE),
    "stream_durable.core.fold": (("", ""), _FOLD),
}


class _Loader(SourceFileLoader):
    def get_data(self, path: str) -> bytes:
        data = super().get_data(path)
        (before, after), more = _CHANGES[self.name]
        text = data.decode()
        assert before in text, f"{self.name} has changed: {before!r} is not in it"
        return (text.replace(before, after, 1) if before else text).encode() + more.encode()

    def get_code(self, fullname: str) -> Any:
        # Never the compiled one of this release, nor ours in its place.
        return self.source_to_code(self.get_data(self.path), self.path)


class _Newer(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname in _CHANGES else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


def _say(topic: str, runs: list[str]) -> None:
    import os

    from confluent_kafka import Producer

    from stream_durable.core import messages
    from stream_durable.kafka.config import PARTITIONER
    from stream_durable.wire.inbox import encode

    producer = Producer(
        {
            "bootstrap.servers": os.environ["STREAM_DURABLE_KAFKA__BOOTSTRAP"],
            "log_level": 0,
            "partitioner": PARTITIONER,
        }
    )
    for run in runs:
        note = vars(messages)["NoteRun"](key=run, id=f"note-{run}", text="what only the next release knows")
        signal: Any = messages.SignalRun(key=run, id=f"extra-{run}", signal="extra")
        signal.note = "a field that older releases pass over"
        for message in (signal, note):
            producer.produce(topic, encode(message), run)
    assert producer.flush(60) == 0, "the notes were not acknowledged"


def main() -> None:
    sys.meta_path.insert(0, _Newer())
    if sys.argv[1:2] == ["note"]:
        _say(sys.argv[2], sys.argv[3:])
        return
    from stream_durable.cli import main as run

    run()


if __name__ == "__main__":
    main()
