/** Which runs an act on many reaches: what ends an open run leaves ended ones alone, and so on. As the server does it. */

import { REVIEWABLE } from "./look";

export type Verb = "retry" | "pause" | "resume" | "cancel" | "review";

export const VERBS: readonly (readonly [Verb, string])[] = [
  ["retry", "Retry"],
  ["pause", "Pause"],
  ["resume", "Resume"],
  ["cancel", "Cancel"],
  ["review", "Mark reviewed"],
];

const GOING = ["pending", "running", "waiting", "paused"];

/** Return how many runs an act reaches, and how many it leaves alone, of those counted by status. */
export function reach(verb: Verb, counts: Readonly<Record<string, number>>, chosen: readonly string[] = []): { reached: number; left: number } {
  let reached = 0;
  let left = 0;
  for (const [status, count] of Object.entries(counts)) {
    if (chosen.length && !chosen.includes(status)) continue;
    if (isReached(verb, status, chosen)) reached += count;
    else left += count;
  }
  return { reached, left };
}

function isReached(verb: Verb, status: string, chosen: readonly string[]): boolean {
  switch (verb) {
    case "cancel":
      return GOING.includes(status);
    case "pause":
      return GOING.includes(status) && status !== "paused";
    case "resume":
      return status === "paused";
    case "retry":
      return status === "failed" || status === "compensated" || (status === "cancelled" && chosen.length > 0);
    case "review":
      return REVIEWABLE.includes(status);
  }
}

/** What is asked of a step. */
export interface StepDeed {
  act: "skip" | "complete" | "fail" | "cancel" | "retry";
  step?: string;
  output?: unknown;
  error?: string;
}

/** Whether a step has to be named: only what skips or fails held steps of a filter may mean all of them. */
export function needsStep(deed: StepDeed, isSelected: boolean): boolean {
  return isSelected || (deed.act !== "skip" && deed.act !== "fail");
}

/** Return what is sent of it: no output but with `complete`, no error but with `fail`. */
export function stepOrder({ act, step, output, error }: StepDeed): StepDeed {
  const found: StepDeed = { act };
  if (step) found.step = step;
  if (act === "complete") found.output = output ?? null;
  if (act === "fail" && error) found.error = error;
  return found;
}
