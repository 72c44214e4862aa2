/** The views of a run, in the order of their keys. */

export const VIEWS = ["timeline", "graph", "steps", "logs", "history", "family", "definition", "data"] as const;
export type View = (typeof VIEWS)[number];
