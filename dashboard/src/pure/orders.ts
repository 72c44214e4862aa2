/** What may be chosen when a run, or all that match, are cancelled, resumed or retried. */

import type { Schema } from "./form";

export const UNDO: Schema = {
  type: "object",
  properties: { compensate: { type: "boolean", title: "Undo what completed", description: "As if the run had failed: compensations are run in reverse order." } },
};

export const CONTEXT: Schema = {
  type: "object",
  properties: { context: { type: "object", title: "Context", description: "Merged into the context of the run before it goes on." } },
};

export const WHOLE: Schema = {
  type: "object",
  properties: { whole: { type: "boolean", title: "From the beginning", description: "All steps run again, those that completed too." } },
};
