import { describe, expect, it } from "vitest";

import { deeds, deedsOf, type RunDeeds } from "../src/pure/deeds";

const asked = (id: string, at: string, more = {}) => ({ id, at, by: "ann", reason: "why", ...more });

const run: RunDeeds = {
  requests: {
    cancel: asked("c", "2026-11-29T14:05:00Z", { is_late: true }),
    pause: null,
    resume: null,
    retry: asked("r", "2026-11-29T14:02:00Z"),
  },
  reviewed: asked("m", "2026-11-29T14:06:00Z"),
  changes: [{ ...asked("x", "2026-11-29T14:01:00Z"), step: "charge", before: { timeout_ms: 1_000 }, after: { timeout_ms: 2_000 } }],
  steps: [
    { name: "charge", reviews: [{ ...asked("r", "2026-11-29T14:02:00Z"), decision: "retry" }], asked: null },
    {
      name: "ship",
      reviews: [],
      asked: { changes: [{ id: "a", at: "2026-11-29T14:03:00Z", by: "bob", kind: "answered", comment: "fine" }] },
    },
  ],
};

describe("what people did", () => {
  it("is in the order of time, and a decision that was asked of the run is there once", () => {
    expect(deeds(run).map(({ step, what, by, reason }) => [step, what, by, reason])).toEqual([
      ["charge", "changed it", "ann", "why"],
      ["charge", "tried again", "ann", "why"],
      ["ship", "answered", "bob", "fine"],
      ["", "cancelled it, too late", "ann", "why"],
      ["", "marked it reviewed", "ann", "why"],
    ]);
    expect(deeds(run)[0]!.lines).toHaveLength(1);
  });

  it("of a step is its own and that of the whole run", () => {
    expect(deedsOf("ship", deeds(run)).map((each) => each.id)).toEqual(["a", "c", "m"]);
  });
});
