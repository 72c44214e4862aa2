/** What stands for a state: icon and hue. The words come from the server. */

import type { IconName } from "../parts/sprite";

export type Hue = "red" | "amber" | "violet" | "blue" | "green" | "teal" | "grey";

export interface Look {
  icon: IconName;
  hue: Hue;
}

const LOOKS: Record<string, Look> = {
  pending: { icon: "s-pending", hue: "grey" },
  ready: { icon: "s-ready", hue: "blue" },
  running: { icon: "s-running", hue: "blue" },
  waiting: { icon: "s-waiting", hue: "violet" },
  retrying: { icon: "s-retrying", hue: "amber" },
  paused: { icon: "s-paused", hue: "amber" },
  held: { icon: "s-failed", hue: "red" },
  cancelling: { icon: "s-cancelling", hue: "grey" },
  compensating: { icon: "s-compensating", hue: "teal" },
  completed: { icon: "s-completed", hue: "green" },
  failed: { icon: "s-failed", hue: "red" },
  skipped: { icon: "s-skipped", hue: "grey" },
  cancelled: { icon: "s-cancelled", hue: "grey" },
  compensated: { icon: "s-compensated", hue: "teal" },
  compensation_failed: { icon: "s-compfailed", hue: "red" },
  merged: { icon: "s-skipped", hue: "grey" },
};
const PENDING = LOOKS.pending!;

/** The look of a raw status with the operator's word: a blocked or a runnable thing is not drawn as running. */
export function look(status: string, word?: string | null): Look {
  if (word === "Blocked" && status !== "paused") return { icon: "s-blocked", hue: "amber" };
  if (word === "Needs review" && !["failed", "compensation_failed"].includes(status)) return LOOKS.held!;
  if (word === "Runnable") return LOOKS.ready!;
  if (word === "Waiting" && status === "running") return LOOKS.waiting!;
  return LOOKS[status] ?? PENDING;
}

/** The look of the operator's word alone, for counts and facets. */
export function lookOfWord(word: string): Look {
  switch (word) {
    case "Needs review":
      return LOOKS.failed!;
    case "Blocked":
      return { icon: "s-blocked", hue: "amber" };
    case "Waiting":
      return LOOKS.waiting!;
    case "Runnable":
      return LOOKS.ready!;
    case "Running":
      return LOOKS.running!;
    case "Done":
      return LOOKS.completed!;
    default:
      return PENDING;
  }
}

export const STATUSES = Object.keys(LOOKS);
/** The statuses of runs, those that may need somebody first. */
export const RUN_STATUSES = [
  "failed",
  "compensation_failed",
  "paused",
  "waiting",
  "running",
  "pending",
  "cancelling",
  "compensating",
  "completed",
  "compensated",
  "merged",
  "cancelled",
] as const;

/** The statuses of runs that need somebody until they are retried or marked as reviewed. */
export const REVIEWABLE: readonly string[] = ["failed", "compensation_failed"];

/** Whether nothing changes any more by itself. */
export function isSettled(status: string): boolean {
  return ["completed", "failed", "cancelled", "compensated", "compensation_failed", "merged", "skipped"].includes(status);
}
