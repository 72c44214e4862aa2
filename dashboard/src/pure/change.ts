/** A change of a run with a held step: what the form begins with, and what of it is sent. */

import { difference } from "./difference";
import type { DefinedNode, RetryRule } from "./definition";
import { span, wholeRetry } from "./definition";
import type { Schema } from "./form";

export interface Values {
  input?: unknown;
  context?: unknown;
  attempts?: number;
  backoff?: string;
  base?: string;
  cap?: string;
  jitter?: number;
  /** Codes of failures that are retried, and that are not: kept as they are, and not in the form. */
  on?: string[];
  not_on?: string[];
  timeout?: string;
  total?: string;
}

/** What a run has kept of a change: the values by the names of the core. */
export interface Kept {
  step: string;
  after: Record<string, unknown>;
}

export interface Line {
  what: string;
  from: unknown;
  to: unknown;
}

/** What can be changed of each kind of node, as the core has it. */
const RETRIED = new Set(["step", "child"]);
const TIMED = new Set(["step", "child", "signal", "event", "input", "token"]);
const RETRY = ["attempts", "backoff", "base", "cap", "jitter"] as const;

/** The values that hold now: those of the definition, then of each change. */
export function valuesNow(run: { input: unknown; context: unknown }, step: string, node: DefinedNode | undefined, changes: readonly Kept[]): Values {
  const found: Values = { input: run.input, context: run.context };
  let { retry, timeout_ms, total_ms } = node ?? {};
  for (const { after } of changes.filter((each) => each.step === step)) {
    if (after.retry) retry = after.retry as RetryRule;
    if (after.timeout_ms) timeout_ms = after.timeout_ms as number;
    if (after.total_ms) total_ms = after.total_ms as number;
  }
  if (node && RETRIED.has(node.kind)) {
    const { attempts, backoff, base_ms, cap_ms, jitter, on, not_on } = wholeRetry(retry);
    Object.assign(found, { attempts, backoff, base: span(base_ms), cap: span(cap_ms), jitter });
    if (on?.length) found.on = on;
    if (not_on?.length) found.not_on = not_on;
  }
  if (timeout_ms) found.timeout = span(timeout_ms);
  if (total_ms) found.total = span(total_ms);
  return found;
}

/** The form for a node of a kind. */
export function changeSchema(kind: string, isSeen: boolean): Schema {
  const properties: Record<string, Schema> = {};
  if (isSeen) {
    properties.input = { title: "Input", description: "Steps that begin later read it; those that are done keep their outputs." };
    properties.context = { title: "Context", description: "Values are put in or replaced; none can be taken out." };
  }
  if (RETRIED.has(kind)) {
    properties.attempts = { type: "integer", minimum: 1, maximum: 1_000_000, title: "Attempts", description: "Of the next decision to retry, the first one included." };
    properties.backoff = { enum: ["fixed", "linear", "exponential"], title: "Pauses between attempts" };
    properties.base = { type: "string", title: "First pause", description: "A time such as 90s or 1h30m." };
    properties.cap = { type: "string", title: "Longest pause" };
    properties.jitter = { type: "number", minimum: 0, maximum: 1, title: "Jitter", description: "The share by which a pause may be shorter, 0 to 1." };
  }
  if (TIMED.has(kind)) properties.timeout = { type: "string", title: kind === "step" ? "Time-out of an attempt" : "Time-out" };
  if (kind === "step") properties.total = { type: "string", title: "Time in all", description: "Of all attempts with the pauses between." };
  return { type: "object", properties };
}

/** The body of the request: only what differs. */
export function bodyOf(step: string, before: Values, after: Values): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  if (!same(before.input, after.input)) body.input = after.input ?? null;
  const context = Object.fromEntries(placed(before.context, after.context).map(({ path, to }) => [path, to]));
  if (Object.keys(context).length) body.context = context;
  const moved = RETRY.filter((name) => after[name] !== undefined && after[name] !== before[name]);
  if (moved.length === 1 && moved[0] === "attempts") body.attempts = after.attempts;
  else if (moved.length) {
    const codes = Object.fromEntries((["on", "not_on"] as const).filter((name) => before[name]).map((name) => [name, before[name]]));
    body.retry = { ...Object.fromEntries(RETRY.map((name) => [name, after[name] ?? before[name]])), ...codes };
  }
  for (const name of ["timeout", "total"] as const) {
    if (after[name] && after[name] !== before[name]) body[name] = after[name];
  }
  if ("attempts" in body || "retry" in body || "timeout" in body || "total" in body) body.step = step;
  return body;
}

const WORDS: Partial<Record<keyof Values, string>> = {
  attempts: "attempts",
  backoff: "pauses",
  base: "first pause",
  cap: "longest pause",
  jitter: "jitter",
  timeout: "time-out",
  total: "time in all",
};

/** What the change does, a line for each value. */
export function linesOf(before: Values, after: Values): Line[] {
  const found: Line[] = [];
  for (const each of difference(before.input, after.input)) {
    if (each.kind === "same") continue;
    const what = !each.path ? "input" : each.path.startsWith("[") ? `input${each.path}` : `input.${each.path}`;
    found.push({ what, from: each.kind === "changed" ? each.from : each.kind === "removed" ? each.value : undefined, to: each.kind === "removed" ? undefined : each.value });
  }
  for (const { path, from, to } of placed(before.context, after.context)) found.push({ what: `context.${path}`, from, to });
  for (const [name, what] of Object.entries(WORDS) as [keyof Values, string][]) {
    if (after[name] !== undefined && after[name] !== "" && after[name] !== before[name]) found.push({ what, from: before[name], to: after[name] });
  }
  return found;
}

/** What cannot be asked for, by field. */
export function changeFaults(before: Values, after: Values): Record<string, string> {
  const found: Record<string, string> = {};
  if (!isObject(after.context) && after.context !== undefined) found.context = "an object, with the names of values";
  const lost = missing(before.context, after.context);
  if (lost.length) found.context = `${lost.join(", ")} cannot be taken out; put null in its place`;
  const odd = placed(before.context, after.context).find(({ path }) => !path || (isObject(after.context) && path in after.context && path.includes(".")));
  if (odd) found.context = `${odd.path || "a name without characters"} is no path`;
  for (const name of ["base", "cap", "timeout", "total"] as const) {
    const text = after[name];
    if (text && !SPAN.test(text)) found[name] = "a time such as 90s or 1h30m";
  }
  return found;
}

const SPAN = /^(?=.)(\d+d)?(\d+h)?(\d+m(?!s))?(\d+s)?(\d+ms)?$/;

/** The values that an object has and another had not, by path; a list is one value, and so is an object with names that are no path. */
function placed(before: unknown, after: unknown, at = ""): { path: string; from: unknown; to: unknown }[] {
  if (!isObject(after)) return [];
  const had = isObject(before) ? before : {};
  return Object.entries(after).flatMap(([name, to]) => {
    const path = at ? `${at}.${name}` : name;
    const from = had[name];
    if (name in had && same(from, to)) return [];
    return isObject(from) && isObject(to) && arePaths(to) ? placed(from, to, path) : [{ path, from, to }];
  });
}

/** The paths of what would be lost: what is put as a whole may lose what it likes. */
function missing(before: unknown, after: unknown, at = ""): string[] {
  if (!isObject(before)) return [];
  if (after === undefined) return Object.keys(before);
  if (!isObject(after) || (at && !arePaths(after))) return [];
  return Object.entries(before).flatMap(([name, had]) => {
    const path = at ? `${at}.${name}` : name;
    if (!(name in after)) return [path];
    return missing(had, after[name], path);
  });
}

function arePaths(value: Record<string, unknown>): boolean {
  return Object.keys(value).every((each) => each && !each.includes("."));
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The lines of a change that a run has kept. */
export function keptLines(before: unknown, after: unknown): Line[] {
  if (!isObject(after)) return [];
  // Of who may not see payloads there is the size alone.
  if ("hidden" in after && "bytes" in after) return [{ what: "values", from: undefined, to: "hidden" }];
  const had = isObject(before) ? before : {};
  return Object.entries(after).flatMap(([name, to]): Line[] => {
    const from = had[name];
    if (name === "input") return linesOf({ input: from }, { input: to });
    if (name === "context" && isObject(to)) {
      const values = isObject(from) ? from : {};
      return Object.entries(to).map(([path, value]) => ({ what: `context.${path}`, from: values[path], to: value }));
    }
    if (name === "retry" && isObject(to)) return linesOf(typed(from), typed(to));
    if (name.endsWith("_ms")) {
      const what = name === "total_ms" ? WORDS.total! : WORDS.timeout!;
      return [{ what, from: typeof from === "number" ? span(from) : undefined, to: span(Number(to)) }];
    }
    return [{ what: name, from, to }];
  });
}

function typed(retry: unknown): Values {
  const { attempts, backoff, base_ms, cap_ms, jitter } = wholeRetry(isObject(retry) ? retry : {});
  return { attempts, backoff, base: span(base_ms), cap: span(cap_ms), jitter };
}
