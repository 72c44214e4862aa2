/** A definition as the API gives it: nodes with their rules, and the rules in words. */

import { duration } from "./time";

export interface RetryRule {
  attempts?: number;
  backoff?: string;
  base_ms?: number;
  cap_ms?: number;
  jitter?: number;
  on?: string[];
  not_on?: string[];
}

export interface GateRule {
  name: string;
  key?: string | null;
  [field: string]: unknown;
}

/** A node of a graph; fields that have their default are left out. */
export interface DefinedNode {
  kind: string;
  name: string;
  after?: string[];
  member_of?: string | null;
  on_error?: string;
  due_ms?: number | null;
  due_at?: string | null;
  queue?: string;
  retry?: RetryRule;
  timeout_ms?: number | null;
  total_ms?: number | null;
  compensation?: DefinedNode | null;
  breaker?: GateRule | null;
  gate?: GateRule | null;
  step?: DefinedNode;
  [field: string]: unknown;
}

export interface Defined {
  name: string;
  nodes: DefinedNode[];
  timeout_ms?: number | null;
  templates?: DefinedNode[];
  hooks?: DefinedNode[];
  concurrency?: number | null;
  gate?: GateRule | null;
  restart?: RetryRule;
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

/** Retries in words. */
export function retryWords(given: RetryRule | undefined): string {
  const retry = wholeRetry(given);
  if (retry.attempts <= 1) return "one attempt";
  const grows = retry.backoff === "fixed" ? `${duration(retry.base_ms)} apart` : `${retry.backoff} from ${duration(retry.base_ms)} to ${duration(retry.cap_ms)}`;
  const spread = retry.jitter ? `, up to ${Math.round(retry.jitter * 100)} % shorter` : "";
  const on = retry.on.length ? `, on ${retry.on.join(", ")}` : "";
  const not = retry.not_on.length ? `, not on ${retry.not_on.join(", ")}` : "";
  return `${retry.attempts} attempts, ${grows}${spread}${on}${not}`;
}

const ON_ERROR: Record<string, string> = {
  skip: "goes on as if it had been skipped",
  continue: "goes on with the failure on record",
  hold: "is held for a person",
};

/** The rules of a node in words, by name; what has its default is left out. */
export function rules(node: DefinedNode): [string, string][] {
  const found: [string, string][] = [];
  const add = (name: string, text: string | undefined) => text !== undefined && found.push([name, text]);
  const time = (ms: unknown) => (typeof ms === "number" && ms > 0 ? duration(ms) : undefined);
  const own = node.kind === "each" && node.step ? node.step : node;
  if (own.kind === "step" && own.queue && own.queue !== "default") add("Queue", own.queue);
  if (own.retry && wholeRetry(own.retry).attempts > 1) add("Retries", retryWords(own.retry));
  add("Time-out", time(own.timeout_ms));
  add("In all", time(own.total_ms));
  add("Sleeps", time(node.duration_ms));
  add("Due", time(node.due_ms) ?? (node.due_at ? `at ${node.due_at}` : undefined));
  add("On error", node.on_error ? ON_ERROR[node.on_error] : undefined);
  add("Gate", guard(own.gate));
  add("Breaker", guard(own.breaker));
  add("Waits for", waited(node));
  if (node.kind === "child") add("Child", `${String(node.workflow)}${node.until ? `, until ${String(node.until)}` : ""}`);
  if (node.kind === "each") add("Over", String(node.over));
  if (node.kind === "branch" && node.on) add("By", String(node.on));
  if (typeof node.concurrency === "number") add("At once", String(node.concurrency));
  if (typeof node.enough === "number") add("Enough", String(node.enough));
  if (node.on_member_error === "complete_all") add("Members", "all end, failures are results");
  if (own.compensation) add("Undone by", own.compensation.name);
  return found;
}

function guard(rule: GateRule | null | undefined): string | undefined {
  if (!rule) return undefined;
  return rule.key ? `${rule.name}, by ${rule.key}` : rule.name;
}

function waited(node: DefinedNode): string | undefined {
  switch (node.kind) {
    case "signal":
      return `signal ${(node.signals as string[]).join(node.all_of ? " and " : " or ")}`;
    case "event":
      return `event ${String(node.event)}, key ${String(node.key)}`;
    case "input":
      return node.role ? `an answer of ${String(node.role)}` : "an answer";
    case "token":
      return "the end from outside, by its token";
    default:
      return undefined;
  }
}

/** The rules of a workflow as a whole. */
export function wholeRules(definition: Defined): [string, string][] {
  const found: [string, string][] = [];
  if (definition.timeout_ms) found.push(["Time-out", duration(definition.timeout_ms)]);
  if (definition.concurrency) found.push(["Steps at once", String(definition.concurrency)]);
  if (definition.gate) found.push(["Gate", guard(definition.gate)!]);
  if (definition.restart && wholeRetry(definition.restart).attempts > 1) found.push(["Restarts", retryWords(definition.restart)]);
  if (definition.hooks?.length) found.push(["Hooks", definition.hooks.map((each) => each.name).join(", ")]);
  if (definition.templates?.length) found.push(["Templates", definition.templates.map((each) => each.name).join(", ")]);
  return found;
}
