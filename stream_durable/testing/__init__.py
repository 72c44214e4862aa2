"""For authors of workflows: the engine of a test, in memory on virtual time or on real services."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream_durable.testing.engine import Engine, Stuck
    from stream_durable.testing.handles import TestedRun, TestedStep

__all__ = ["Engine", "Stuck", "TestedRun", "TestedStep"]

#: Loaded on demand: every pytest imports this package for its plugin.
_WHEN_ASKED_FOR = {
    "Engine": "stream_durable.testing.engine",
    "Stuck": "stream_durable.testing.engine",
    "TestedRun": "stream_durable.testing.handles",
    "TestedStep": "stream_durable.testing.handles",
}


def __getattr__(name: str) -> Any:
    if name not in _WHEN_ASKED_FOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHEN_ASKED_FOR[name]), name)
