/** Acts that send something to runs: events to all that wait for them, signals to one. */

import { part, post } from "../api/client";
import type { Act } from "../parts/dialog";
import { filled, type Schema } from "../pure/form";

const DATA: Schema = { title: "Data", description: "JSON; empty: null." };
const LATER: Record<string, Schema> = {
  ttl: { type: "string", title: "Keep for", description: "How long it waits for somebody to take it, such as 1d." },
  after: { type: "string", title: "Send after", description: "Such as 2h; empty: now. Later shows what is still to be sent." },
};

/** The act that publishes an event: a known one, to those of a known key, or any. */
export function publish(event = "", key = ""): Act {
  return {
    title: event ? `Publish ${event}` : "Publish an event",
    verb: "Publish",
    short: "Publish an event",
    asksReason: false,
    preview: <p className="hint">Every run gets it that waits for this event and key now, or begins to while it is kept. Triggers of the event start runs.</p>,
    form: {
      schema: {
        type: "object",
        required: ["event"],
        properties: {
          event: { type: "string", title: "Event", description: "Such as payment.captured." },
          key: { type: "string", title: "Key", description: "That of the waits, such as 42; empty: for triggers alone." },
          data: DATA,
          ...LATER,
        },
      },
      initial: filled({ event, key }),
    },
    run: (_, value) => post("events", filled(value)),
  };
}

/** The act that sends a run a signal: one that it waits for, or any. */
export function signal(run: string, name = ""): Act {
  return {
    title: name ? `Send signal ${name}` : `Send ${run} a signal`,
    verb: "Send it",
    short: name ? `Signal ${name}` : "Signal",
    asksReason: false,
    preview: (
      <p className="hint">
        The run takes it where it waits for {name ? <code>{name}</code> : "it"}, or keeps it until it does.
      </p>
    ),
    form: {
      schema: {
        type: "object",
        required: name ? [] : ["name"],
        properties: { ...(name ? {} : { name: { type: "string", title: "Signal" } satisfies Schema }), data: DATA, ...LATER },
      },
      initial: {},
    },
    run: (_, value) => {
      const { name: typed = name, ...given } = filled(value) as { name?: string };
      return post(`runs/${part(run)}/signals/${part(typed)}`, given);
    },
  };
}
