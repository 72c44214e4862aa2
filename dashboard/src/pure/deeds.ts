/** What people did about a run and its steps: who, what, when and why. */

import { keptLines, type Line } from "./change";

export interface Deed {
  id: string;
  at: string;
  /** The step; empty: the run as a whole. */
  step: string;
  what: string;
  by: string;
  reason: string;
  lines: Line[];
}

interface Asked {
  id: string;
  at: string;
  by: string;
  reason: string;
  is_late?: boolean;
}

interface StepDeeds {
  name: string;
  reviews: readonly { id: string; at: string; by: string; reason: string; decision: string }[];
  asked: { changes: readonly { id: string; at: string; by: string; kind: string; comment: string }[] } | null;
}

/** The fields of a run that say what people did. */
export interface RunDeeds {
  requests: Record<"cancel" | "pause" | "resume" | "retry", Asked | null>;
  reviewed: Asked | null;
  changes: readonly (Asked & { step: string; before: Record<string, unknown>; after: Record<string, unknown> })[];
  steps: readonly StepDeeds[];
}

const REQUESTED = { cancel: "cancelled it", pause: "paused it", resume: "resumed it", retry: "retried it" } as const;
const DECIDED: Record<string, string> = {
  retry: "tried again",
  complete: "completed by hand",
  skip: "skipped",
  fail: "failed by hand",
  cancel: "cancelled",
};

/** Return what people did, oldest first; a request that is the decision about a step is there once. */
export function deeds(run: RunDeeds): Deed[] {
  const found: Deed[] = [];
  for (const step of run.steps) {
    for (const each of step.reviews) found.push(deed(each, DECIDED[each.decision] ?? each.decision, step.name));
    for (const each of step.asked?.changes ?? []) found.push(deed({ ...each, reason: each.comment }, each.kind, step.name));
  }
  for (const each of run.changes) found.push({ ...deed(each, "changed it", each.step), lines: keptLines(each.before, each.after) });
  const known = new Set(found.map((each) => each.id));
  for (const [name, what] of Object.entries(REQUESTED)) {
    const asked = run.requests[name as keyof typeof REQUESTED];
    if (asked && !known.has(asked.id)) found.push(deed(asked, asked.is_late ? `${what}, too late` : what, ""));
  }
  if (run.reviewed) found.push(deed(run.reviewed, "marked it reviewed", ""));
  return found.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/** Return those that concern a step: its own, and those of the run as a whole. */
export function deedsOf(step: string, all: readonly Deed[]): Deed[] {
  return all.filter((each) => each.step === step || !each.step);
}

function deed({ id, at, by, reason }: Asked, what: string, step: string): Deed {
  return { id, at, step, what, by, reason, lines: [] };
}
