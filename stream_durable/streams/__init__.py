"""Stream processors beside the engine: any topic turned into starts, signals and events, and our topics read.

The only part that imports Faust; it needs the extra `streams`. It uses the public topics like any other
program.
"""

from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.streams.app import StreamApp
from stream_durable.streams.outcomes import Outcome, Publish, Signal, Start

__all__ = ["Outcome", "Publish", "RunEvent", "Signal", "Start", "StepEvent", "StreamApp"]
