"""Act on each completed step once, and prove that none was missed.

    python downstream.py 127.0.0.1:9092 ../../schemas

Needs confluent-kafka, fastavro and the schema files; nothing of stream_durable.
"""

import sqlite3
import sys
from io import BytesIO
from pathlib import Path

from confluent_kafka import Consumer
from fastavro import parse_schema, schemaless_reader
from fastavro.schema import fingerprint, load_schema, to_parsing_canonical_form

ENDED = (
    "run.completed",
    "run.failed",
    "run.cancelled",
    "run.compensated",
    "run.compensation_failed",
    "run.merged",
)


class MissedError(Exception):
    """An event came, and one before it did not."""


def load_schemas(folder):
    """Return all schemas there have ever been, by the ten bytes that values written under them begin with."""
    found = {}
    for file in Path(folder).rglob("*.avsc"):
        schema = load_schema(file)
        crc = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
        found[b"\xc3\x01" + bytes.fromhex(crc)] = parse_schema(schema)
    return found


def decode(value, schemas):
    """Read the value of a record of `sd.steps` or `sd.runs`."""
    return schemaless_reader(BytesIO(value[10:]), schemas[value[:10]], None)


class Ledger:
    """Which events were taken; kept where their effects are kept, so that both are saved or neither is."""

    def __init__(self, path):
        self.db = sqlite3.connect(path)
        self.db.executescript("""
            create table if not exists seen (run text, topic text, sequence int, primary key (run, topic));
            create table if not exists ended (run text primary key, steps int);
            create table if not exists effect (run text, step text, output text);
        """)

    def take(self, topic, event):
        """Save an event with its effect; return whether it is new. Raise if one before it is missing."""
        run, sequence = event["run"], event["sequence"]
        with self.db:  # one transaction
            last = self.last(run, topic)
            if sequence <= last:
                return False
            if sequence > last + 1:
                raise MissedError(f"{topic}: run {run} went from {last} to {sequence}")
            self.db.execute("insert or replace into seen values (?, ?, ?)", (run, topic, sequence))
            if event["type"] == "step.completed":  # here is where you act
                row = (run, event["step"], event["output"])
                self.db.execute("insert into effect values (?, ?, ?)", row)
            elif event["type"] in ENDED:
                self.db.execute("insert into ended values (?, ?)", (run, event["step_sequence"]))
        return True

    def last(self, run, topic):
        """Return the number of the last event that was taken."""
        query = "select sequence from seen where run = ? and topic = ?"
        return (self.db.execute(query, (run, topic)).fetchone() or (0,))[0]

    def is_complete(self, run):
        """Whether the run has ended, and every event about its steps was taken."""
        ended = self.db.execute("select steps from ended where run = ?", (run,)).fetchone()
        return ended is not None and ended[0] == self.last(run, "steps")


def main(brokers, schema_folder, prefix="sd"):
    schemas, ledger = load_schemas(schema_folder), Ledger("downstream.db")
    consumer = Consumer({
        "bootstrap.servers": brokers, "group.id": "downstream",
        "auto.offset.reset": "earliest", "enable.auto.commit": False,
    })  # fmt: skip
    consumer.subscribe([f"{prefix}.steps", f"{prefix}.runs"])
    try:
        while True:
            follow(consumer, ledger, schemas, prefix)
    finally:
        consumer.close()  # else the group waits for us until our membership has expired


def follow(consumer, ledger, schemas, prefix):
    """Take what comes next, if anything does."""
    message = consumer.poll(1.0)
    if message is None:
        return
    if message.error():
        raise SystemExit(message.error())
    event = decode(message.value(), schemas)
    run = event["run"]
    if ledger.take(message.topic().removeprefix(f"{prefix}."), event):
        print(event["type"], run, event.get("step", ""), event["output"] or "", flush=True)
        if ledger.is_complete(run):
            print(run, "is complete:", ledger.last(run, "steps"), "step events, no gap", flush=True)
    # After the effect: a crash in between repeats the event, and repeats are dropped.
    consumer.commit(message, asynchronous=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
