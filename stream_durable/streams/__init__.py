"""Stream processors beside the engine: any topic turned into starts, signals and events; public topics read.

The only part importing Faust, with the extra `streams`. Only public topics are used, like any other program
does.
"""

from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.streams.app import StreamApp
from stream_durable.streams.outcomes import Outcome, Publish, Signal, Start

__all__ = ["Outcome", "Publish", "RunEvent", "Signal", "Start", "StepEvent", "StreamApp"]
