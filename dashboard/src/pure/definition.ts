/** A definition as the API gives it: nodes with their rules. */

export interface RetryRule {
  attempts?: number;
  backoff?: string;
  base_ms?: number;
  cap_ms?: number;
  jitter?: number;
  on?: string[];
  not_on?: string[];
}

/** A node of a graph; fields that have their default are left out. */
export interface DefinedNode {
  kind: string;
  name: string;
  retry?: RetryRule;
  timeout_ms?: number | null;
  total_ms?: number | null;
  step?: DefinedNode;
  [field: string]: unknown;
}

export interface Defined {
  name: string;
  nodes: DefinedNode[];
  timeout_ms?: number | null;
  templates?: DefinedNode[];
  [field: string]: unknown;
}

const UNITS: readonly [string, number][] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
];

/** A duration as it is typed: `1h30m`, `90s` as `1m30s`. */
export function span(ms: number): string {
  let rest = ms;
  let text = "";
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    if (count) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text || "0s";
}

/** Retries with every default filled in. */
export function wholeRetry(retry: RetryRule | undefined): Required<RetryRule> {
  return { attempts: 1, backoff: "exponential", base_ms: 1_000, cap_ms: 60_000, jitter: 0, on: [], not_on: [], ...retry };
}

/** The node of a step of a run: its own, a template's, or that of the members of its group. */
export function nodeOf(definition: Defined, name: string, owner?: string | null): DefinedNode | undefined {
  const known = definition.nodes.find((each) => each.name === name);
  if (known) return known;
  const group = definition.nodes.find((each) => each.name === owner);
  return group?.step ?? definition.templates?.find((each) => each.name === name);
}
