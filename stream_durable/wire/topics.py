"""The topics and the consumer groups of an instance: names, writers and readers.

Names here lack the instance's prefix, as in `Outgoing.topic`; `full_name` returns the name on the cluster.
docs/reference/topics.md has the set-up of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Every fact about runs, channels and gates, keyed by the entity. Written by clients, ingress, workers and
#: reconcilers; read by reconcilers, rebuilds and verification.
INBOX: Final = "inbox"
#: What others publish for runs to wait for or to begin with. Written by anybody; read by the ingress.
EVENTS: Final = "events"
#: Attempts to make, keyed by the run: a topic for each lane of a queue, whose name follows this. Written by
#: reconcilers; read by the workers of the queue.
COMMANDS: Final = "commands."
#: Public events of steps and of runs, keyed by the run. Written by reconcilers; read by anybody, such as
#: clients.
STEPS: Final = "steps"
RUNS: Final = "runs"
#: Outputs too large for the inbox. Written by workers; read by workers and clients.
BLOBS: Final = "blobs"
#: Graphs of workflows, on one partition, compacted. Written by workers and clients; read by all.
DEFINITIONS: Final = "definitions"
#: Paused queues and present processes, on one partition, compacted. Written by all processors and clients;
#: read by workers and tools.
CONTROL: Final = "control"
#: Decisions about records of the inbox that a later fold has to repeat. Written and read by reconcilers; read
#: by rebuilds.
VERDICTS: Final = "verdicts"
#: Records that could not be read or applied, with the reason in their headers. Written by all processors;
#: read by people.
DEAD: Final = "dead"

#: Begins the name of a topic that is not the instance's own; no topic of Kafka's has it in its name.
FOREIGN: Final = ":"

#: Begins the name of a topic in the dead letters of a function that reads it: ours may have the same name.
STREAM: Final = "stream:"

#: What each kind of process has to write, and no more.
WRITES: Final[Mapping[str, frozenset[str]]] = {
    "reconciler": frozenset({INBOX, COMMANDS, STEPS, RUNS, CONTROL, VERDICTS, DEAD}),
    "worker": frozenset({INBOX, DEFINITIONS, CONTROL, BLOBS, DEAD}),
    "ingress": frozenset({INBOX, CONTROL, DEAD}),
}

#: The groups that share the inbox, the events, the commands of a lane, whose name follows, and the topic of a
#: binding, whose name follows.
RECONCILERS: Final = "reconciler"
INGRESSES: Final = "ingress"
WORKERS: Final = "worker."
BINDING: Final = "binding."
#: For consumers that choose their partitions; the client library requires a group.
NO_GROUP: Final = "unused"


def full_name(prefix: str, name: str) -> str:
    """Return what a topic or a group is called on the cluster."""
    if name.startswith(FOREIGN):
        return name.removeprefix(FOREIGN)
    return f"{prefix}.{name}"
