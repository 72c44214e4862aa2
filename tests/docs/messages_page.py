"""Prints docs/reference/messages.md: `python tests/docs/messages_page.py > docs/reference/messages.md`.

What is said of a message is the documentation of its class, what is said of a field the comment above it, and
what is shown is the longest of its golden lines.
"""

# ruff: noqa: E501 - lines of a page

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from stream_durable.core.effects import CancelAttempt, Command
from stream_durable.core.lifecycle import MEANINGS, ON_REQUEST, RunEvent, StepEvent
from stream_durable.core.messages import MESSAGE_TYPES
from stream_durable.wire.lifecycle import schema

GOLDEN: Final = Path(__file__).parents[1] / "wire" / "golden"

HEAD: Final = """\
# Messages

<!-- Generated: python tests/docs/messages_page.py > docs/reference/messages.md -->

The JSON of the inbox and of the command topics, what may be written to `sd.events`, and what is published. Fields
that hold their default are left out. Fields may be added with a default, and are never renamed or removed;
`tests/wire/golden` holds that.

## The inbox

The record's key is the entity's id: the value of `run` or, for a channel, of `channel`, which is the event's name, a
slash and the key, or, for a gate or a breaker, of `gate`, which is its name, or, for a message that is sent later, of `later`, or, for an admission, of `admission`, which is the workflow, two slashes and the key, or, for a schedule, of `schedule`, which is its name, or, for a partition, of `log`, which is its number.
A record whose key is another one is refused. Only the processors and clients of an instance write here.
"""

FAILURES: Final = """
A failure has a `code` for programs and a `message` for people; `retryable` (true if absent), `details`, `trace` and,
for the failure of a run, `step`.
"""

PLANS: Final = """
The `plan` of a schedule is an object. Its `rule` has one of `cron` (a list of expressions), `every_ms`, `at` (a list of moments) and `after_ms`, and may have
`zone` (an IANA name), `start`, `end` and `jitter_ms`; moments are milliseconds since 1970. Beside it stand `workflow`, `input`, `overlap` (`skip`, `queue_one`,
`queue_all`, `cancel` or `allow`), `catch_up_ms`, `timeout_ms`, `disable_after`, `tags`, `queue`, `priority` and `metadata`: see [schedules](../language/schedules.md).
"""

COMMANDS: Final = """
## Commands

On `sd.commands.<queue>`, keyed by the run's id, written by reconcilers.
"""

FOREIGN: Final = """
A worker in another language takes an `attempt`, does the work, puts `attempt.completed` or `attempt.failed` on the
inbox under the run's id as key, and commits the command's offset when that is acknowledged. An attempt that takes
long is announced with `attempt.started` and kept alive with `attempt.heartbeat`.

## The events topic

What anybody may write to `sd.events`. One object is one message, distinguished by its fields:

```json
{"type":"payment.captured","key":"42","data":{"amount":9.5},"by":"till 4","ttl":"2h","message_id":"payment-7"}
{"signal":"released","run":"order-42","data":{"floor":2},"by":"tom","ttl":"1d","message_id":"release-1"}
{"answer":"yes","run":"order-42","wait":"approved","by":"tom","comment":"by phone","message_id":"mail-17"}
{"complete":"sdt_WyJvcmRlci00MiIsImRlbGl2ZXJlZCIsMV0.mk0...","value":{"at":"10:40"},"by":"courier"}
{"fail":"sdt_WyJvcmRlci00MiIsImRlbGl2ZXJlZCIsMV0.mk0...","error":{"code":"lost","message":"on the way"}}
{"heartbeat":"sdt_WyJvcmRlci00MiIsImRlbGl2ZXJlZCIsMV0.mk0..."}
{"start":"order","id":"order-43","input":{"id":"43","items":[],"total":1},"tags":["vip"],"message_id":"web-991"}
{"start":"order","id":"order-44","timeout":"2d","queue":"fast","priority":5,"attributes":{"region":"EU","due":{"moment":"2030-01-31T09:00:00Z"}}}
{"start":"order","id":"order-43","input":{"id":"43","items":[],"total":1},"signal":"released","data":{"by":"tom"},"ttl":"1d"}
{"cancel":"the customer left","run":"order-43","compensate":true,"message_id":"web-992"}
{"review":"complete","run":"order-42","step":"charge","value":{"number":"R-7"},"reason":"looked up","by":"tom"}
{"change":"a wrong account","run":"order-42","context":{"order.account":"DE1"},"step":"charge","attempts":5,"timeout":"2m","by":"tom"}
{"cancel_later":"event:reminder/42#web-993","message_id":"web-994"}
{"claim":"tom","run":"order-42","wait":"approved","message_id":"desk-1"}
{"assign":"ann","run":"order-42","wait":"approved","role":"office","by":"tom","comment":"on holiday","message_id":"desk-2"}
{"comment":"called the customer","run":"order-42","wait":"approved","by":"ann","message_id":"desk-3"}
```

- An event without a key, in it or of the record, is for [triggers](../language/triggers.md) alone, and refused if none takes its name.
- The record's key stands in for a missing `key` of an event and for a missing `run` of all others but a start. A start without `id` is given the
  message's own id.
- A start with a `signal` and its `data` is one message: the run is begun if there is none of its `id`, and is given the signal in any case.
- A start may have `at` or `after`, `timeout`, `queue`, `priority` (-100 to 100), `metadata` (an object) and `attributes` (an object: texts, numbers, `true` or `false`, and
  moments as above), as a client's start has. A queue without a topic is refused.
- `by` of an event or a signal is who sends it, else the source of the CloudEvent around it; `ttl` is how long it is kept for waits that have not begun: of an event as long as
  the settings say, of a signal until the end of the run, if it is left out.
- `message_id` makes a message happen once. Without it the id is derived from topic, partition and offset, so that
  only a repeat by the ingress is recognised and not one by the sender.
- An answer is refused where it fits none of the registered workflows' questions of that name. Only the run knows which version it is of, and
  judges once more.
- `complete`, `fail` and `heartbeat` hold the [token](../language/waits.md#other-systems) of a step; the record's key does not matter. `error` is a text, or has `code`, `message` and `details`.
- `claim` names who takes the question on, `assign` who is to answer it (empty: anybody of the role), `cancel` the reason; `wait` is the step that asks.
- `review` decides about a [held step](../language/review.md): `retry`, `complete` with the `value` of its output, `skip`, or `fail` with an `error` in place of the one it is held for. A value is
  refused where it fits none of the registered workflows' steps of that name.
- `change` changes a run with [held steps](../language/review.md#changing-the-run) and says why: its `input` (with the `workflow` that it is for), values in its `context` by their paths, and of the held `step` how often it
  is tried (`attempts`), `timeout` and `total`. An input is refused where it fits no registered version of the workflow.
- `cancel_later` names a message for later by its id: `signal:RUN/NAME#MESSAGE_ID`, `event:NAME/KEY#MESSAGE_ID` or `start:RUN`, as `later list` shows it. Too late it changes nothing.
- A field that is not known is refused.
- The same in Avro, by the schemas in [`schemas/events_topic/`](../../schemas/README.md#messages-of-others): one for each form, with the same fields, where
  `data`, `input`, `answer`, `value`, `error`, `metadata`, `attributes` and `context` are JSON as text.
- CloudEvents are events: in binary mode by the headers `ce_type`, `ce_id`, `ce_source` and `ce_subject` (the key),
  the value being the data as JSON; in structured mode as JSON with `specversion`, `type`, `id`, `source`, `subject`
  (or `partitionkey`) and `data`. The id counts within its source.
- A CloudEvent of the type `stream_durable.message` has as its data any of the messages above, in binary mode also in Avro. The CloudEvent's source and id
  stand in for a missing `message_id`.
- A header `traceparent` of a start goes along with the run.
- What cannot be taken goes to `sd.dead` with the reason: see [codes](errors.md).

## Public events

Avro, described in [`schemas/`](../../schemas/README.md), keyed by the run's id, at least once and in order for each
run; the header `ce_type` has `stream_durable.` before the type. New types may come: pass over one that you do not
know.
"""

#: Who writes what.
WRITERS: Final = {
    "client": "run.pause run.resume run.reviewed step.cancel "
    "input.claim input.assign input.comment run.inquire later.cancel "
    "gate.set gate.reset gate.keys breaker.probe schedule.set schedule.pause schedule.resume schedule.delete schedule.trigger schedule.backfill",
    "client, ingress": "run.cancel run.retry step.skip held.complete held.fail run.change_held run.start_signal later.send input.answer step.complete step.fail step.heartbeat",
    "client, ingress, reconciler (of a message for later)": "run.signal channel.event channel.unkeyed",
    "client, ingress, reconciler (of a child)": "run.start",
    "worker": "attempt.started attempt.heartbeat attempt.completed attempt.failed attempt.returned "
    "attempt.skipped attempt.jumped attempt.expanded attempt.finished attempt.emitted attempt.cancels "
    "attempt.noted attempt.waits log.commands_lost schedule.declare schedule.roll",
    "reconciler": "child.ended run.continue sleep.until wait.check gate.pass event.delivered event.offered "
    "event.given run.timer emission.refused channel.wait channel.take channel.taken "
    "channel.read channel.reacted channel.unread "
    "admission.ask admission.begun admission.leave admission.timer run.admitted run.merged run.doubted "
    "run.follow "
    "channel.unwait channel.continue channel.timer gate.ask gate.leave gate.enter gate.entered gate.exit gate.timer later.timer "
    "run.start_scheduled run.start_triggered schedule.next schedule.ended schedule.undeclare schedule.timer",
    "client, worker": "log.rules",
    "an operator's command, when no process of an older release is left ([upgrades](../deployment.md#upgrades))":
    "log.format",
}  # fmt: skip

#: What these fields mean wherever nothing else is said of them.
USUAL: Final = {
    "run": "Id of the run.",
    "channel": "Name of the event, a slash, and the key.",
    "gate": "Name of the breaker; or of the gate, with two slashes and the key, if each has its own.",
    "admission": "Name of the workflow, two slashes, and the key, if there is one.",
    "passes": "How many passes of the attempt came before.",
    "later": "`signal` or `event`, whom it is for, and the message's own id.",
    "schedule": "Name of the schedule.",
    "app": "Name of the app.",
    "log": "Number of the partition.",
    "id": "Of the message: under one id it happens once.",
    "step": "Name of the step.",
    "attempt": "Number of the attempt.",
    "fingerprint": "Of the definition.",
    "reason": "For people.",
    "data": "JSON that it carries.",
    "input": "Input of the run.",
    "output": "What it came to.",
    "outputs": "Outputs of other steps that the function takes, by name.",
    "signal": "Its name.",
    "workflow": "Name of the workflow.",
    "timeout_ms": "How long the attempt may take.",
    "started": "By the worker's own clock, for people.",
    "finished": "By the worker's own clock, for people.",
    "label": "Words for that.",
    "child": "Id of the run that the step started.",
    "status": "How it ended.",
    "parent_step": "Its step.",
    "depth": "How many generations are above.",
    "priority": "Higher is sooner, among the commands that a worker holds.",
    "tags": "Of the run.",
    "metadata": "Of the run.",
    "steps": "Those that are added, see below.",
    "concurrency": "How many of them may run at the same time; all, if absent.",
    "complete_all": "Whether the others go on when one of them fails.",
    "window_ms": "How long a failure counts.",
    "reset_ms": "How long the gate stays open before one attempt may try.",
    "failure": "See [failures](#failures).",
    "timer": "What it is for.",
    "format": "Which one.",
}
_TYPES: Final = (
    ("AttemptCompleted", "object"), ("Call", "list"), ("Raw", "JSON"), ("Millis", "milliseconds"), ("tuple[", "list"), ("dict[", "object"), ("bool", "true or false"),
    ("Failure", "object"), ("int", "whole number"), ("Ordinal", "whole number"), ("Arrival", "whole number"), ("More", "whole number"), ("WaitAttempt", "whole number"),
    ("Format", "whole number"), ("Partition", "whole number"), ("float", "number"), ("str", "text"), ("Text", "text"), ("Comment", "text"),
    ("RetryPolicy", "object"), ("StartRule", "object"), ("GateLimits", "object"), ("GateChange", "object"), ("KeysChange", "object"), ("Units", "whole number"),
    ("Moment", "milliseconds"), ("Plan", "object"), ("Scheduled", "list"),
    ("Deferrable", "`run.signal` or `channel.event`"),
)  # fmt: skip
_FIELD: Final = re.compile(r"^    (\w+): ")


def page() -> str:
    """Return the page."""
    writers = {tag: who for who, tags in WRITERS.items() for tag in tags.split()}
    parts = [HEAD]
    for kind in MESSAGE_TYPES:
        assert _tag(kind) in writers, f"say in WRITERS who writes {_tag(kind)!r}"
        parts += [*_message(kind, "inbox.jsonl"), f"\nWritten by: {writers[_tag(kind)]}.\n"]
    parts += ["\n### Failures\n", FAILURES, "\n### Plans of schedules\n", PLANS, COMMANDS]
    for command in (Command, CancelAttempt):
        parts += _message(command, "commands.jsonl")
    return "".join([*parts, FOREIGN, *_events()])


def _message(kind: Any, golden: str) -> Iterator[str]:
    tag = _tag(kind)
    yield f"\n### `{tag}`\n"
    for paragraph in (inspect.getdoc(kind) or "").split("\n\n"):
        yield f"\n{' '.join(paragraph.split())}\n"
    yield "\n| field | type | default | |\n| --- | --- | --- | --- |\n"
    comments = _comments(kind)
    for field in msgspec.structs.fields(kind):
        about = comments.get(field.name) or USUAL.get(field.encode_name) or ""
        yield f"| `{field.encode_name}` | {_type(kind, field.name)} | {_default(field)} | {about} |\n"
    yield f"\n```json\n{_longest(tag, golden)}\n```\n"


def _tag(kind: Any) -> str:
    return str(kind.__struct_config__.tag)


def _longest(tag: str, golden: str) -> str:
    """Return the line that says the most."""
    lines = (GOLDEN / golden).read_text().splitlines()
    return max((line for line in lines if json.loads(line)["type"] == tag), key=len)


def _type(kind: Any, name: str) -> str:
    written = next(
        c.__annotations__[name] for c in kind.__mro__ if name in c.__dict__.get("__annotations__", {})
    )
    found = [text for word, text in _TYPES if word in written]
    assert found, f"{kind.__name__}.{name}: say in _TYPES what people call {written!r}"
    return found[0]


def _default(field: Any) -> str:
    if field.required:
        return "required"
    value = bytes(field.default) if isinstance(field.default, msgspec.Raw) else field.default
    if value is msgspec.NODEFAULT or value in (None, (), b""):
        return ""
    return f"`{value.decode()}`" if isinstance(value, bytes) else f"`{json.dumps(value)}`"


@cache
def _comments(kind: Any) -> dict[str, str]:
    """Return what the comments above the fields of a class, and of those it is made of, say."""
    found: dict[str, str] = {}
    for one in reversed([c for c in kind.__mro__ if c.__module__.startswith("stream_durable.")]):
        said: list[str] = []
        for line in inspect.getsource(one).splitlines():
            if line.startswith("    #: "):
                said.append(line.removeprefix("    #: "))
                continue
            match = _FIELD.match(line)
            if match and said:
                found[match[1]] = " ".join(said)
            said = []
    return found


def _events() -> Iterator[str]:
    for kind, topic, before in ((RunEvent, "sd.runs", "run."), (StepEvent, "sd.steps", "step.")):
        yield f"\n### `{topic}`\n\n| type | what happened |\n| --- | --- |\n"
        for name, meaning in MEANINGS.items():
            if name.startswith(before):
                yield f"| `{name}` | {meaning} |\n"
        yield "\n| field | |\n| --- | --- |\n"
        for field in schema(kind)["fields"]:
            if field["name"] != "type":
                yield f"| `{field['name']}` | {field['doc']} |\n"
    names = ", ".join(f"`{name}`" for name in sorted(ON_REQUEST))
    yield f'\nOnly where a workflow asks for it, as `Workflow("order", events=["step.started"])`: {names}.\n'


if __name__ == "__main__":
    sys.stdout.write(page())
