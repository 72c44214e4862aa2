"""Orders to a run or a step: cancel, pause, resume, skip, retry."""

from __future__ import annotations

from stream_durable.core.messages.fields import OptionalRaw, OptionalText, Text
from stream_durable.core.messages.run import RunMessage


class CancelRun(RunMessage, kw_only=True, tag="run.cancel"):
    """Cancel a run.

    For a run already ending, or ended, only the request is kept.
    """

    id: Text
    #: For people.
    reason: str = ""
    #: Whether what completed is undone, as if the run had failed.
    compensate: bool = False
    #: Who asks for it, under any name.
    by: OptionalText = ""


class PauseRun(RunMessage, kw_only=True, tag="run.pause"):
    """Begin no step until the run is resumed; what is under way goes on, and so does time."""

    id: Text
    reason: str = ""
    #: Who asks for it, under any name.
    by: OptionalText = ""


class ResumeRun(RunMessage, kw_only=True, tag="run.resume"):
    """Go on with a paused run."""

    id: Text
    #: An object that is merged into the run's context.
    context: OptionalRaw = None
    reason: str = ""
    #: Who asks for it, under any name.
    by: OptionalText = ""


class CancelStep(RunMessage, kw_only=True, tag="step.cancel"):
    """End a step, or a group with all members, as cancelled; later steps are cancelled too."""

    id: Text
    #: Its name.
    step: Text
    reason: str = ""
    #: Who asks for it, under any name.
    by: OptionalText = ""


class SkipStep(RunMessage, kw_only=True, tag="step.skip"):
    """End a step, or a group with all members, as skipped; later steps go on.

    After `compensation_failed` this accepts a failed or cancelled compensation.
    """

    id: Text
    step: Text
    reason: str = ""
    #: Who asks for it, under any name.
    by: OptionalText = ""


class RetryRun(RunMessage, kw_only=True, tag="run.retry"):
    """Retry steps of a run in place, whether or not the run has ended.

    After `compensation_failed` only a compensation without success, such as `charge~compensate`, is retried.
    """

    id: Text
    #: This step and all later steps; empty: all failed or cancelled steps, and all later steps.
    step: OptionalText = ""
    #: Everything, from the beginning.
    whole: bool = False
    reason: str = ""
    #: Who asks for it, under any name.
    by: OptionalText = ""
