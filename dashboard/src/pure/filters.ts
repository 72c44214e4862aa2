/** Filters of the list of runs, which are the address. */

export interface RunsSearch {
  status?: string[];
  workflow?: string;
  version?: string;
  tag?: string;
  queue?: string;
  parent?: string;
  /** A duration back from now, such as `24h`. */
  since?: string;
  /** A text in the input. */
  text?: string;
  failed?: boolean;
  /** Only failed runs that somebody has marked as reviewed, or that nobody has. */
  reviewed?: boolean;
  /** The code of the failure, and the step that failed. */
  code?: string;
  at?: string;
  /** Conditions on attributes, such as `amount>=9.5,region=north`. */
  where?: string;
  /** A column or an attribute; with `-` before it, the greatest first. */
  sort?: string;
  after?: string;
}

const TEXTS = ["workflow", "version", "tag", "queue", "parent", "since", "text", "code", "at", "where", "sort", "after"] as const;
const LABELS: Record<string, string> = { since: "created", text: "input has", code: "failed with", at: "failed at" };
export const SINCE = ["1h", "24h", "7d", "30d"] as const;

/** Return what an address asks for; what is unknown or empty is left out. */
export function readSearch(given: Record<string, unknown>): RunsSearch {
  const found: RunsSearch = {};
  const status = given.status;
  const list = Array.isArray(status) ? status : typeof status === "string" ? status.split(",") : [];
  const chosen = list.filter((each): each is string => typeof each === "string" && each !== "");
  if (chosen.length) found.status = chosen;
  for (const name of TEXTS) {
    const value = given[name];
    if (typeof value === "string" && value !== "") found[name] = value;
    else if (typeof value === "number") found[name] = String(value);
  }
  if (given.failed === true || given.failed === "true") found.failed = true;
  if (["true", "false"].includes(String(given.reviewed))) found.reviewed = String(given.reviewed) === "true";
  return found;
}

/** Return a search with one filter set, or without it; the page begins anew. */
export function changed<K extends keyof RunsSearch>(search: RunsSearch, name: K, value: RunsSearch[K]): RunsSearch {
  const next = { ...search };
  delete next.after;
  const isEmpty = value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
  if (isEmpty) delete next[name];
  else next[name] = value;
  return next;
}

/** Return a search with a status chosen, or no longer chosen. */
export function toggled(search: RunsSearch, status: string): RunsSearch {
  const chosen = search.status ?? [];
  return changed(search, "status", chosen.includes(status) ? chosen.filter((s) => s !== status) : [...chosen, status]);
}

export interface Token {
  name: keyof RunsSearch;
  label: string;
  value: string;
}

/** The filters as tokens, in a fixed order. */
export function tokens(search: RunsSearch): Token[] {
  const found: Token[] = [];
  if (search.status) found.push({ name: "status", label: "status", value: search.status.join(", ") });
  if (search.failed) found.push({ name: "failed", label: "", value: "failed" });
  if (search.reviewed !== undefined) found.push({ name: "reviewed", label: "", value: search.reviewed ? "reviewed" : "needs review" });
  for (const name of TEXTS) {
    const value = search[name];
    if (value === undefined || name === "after" || name === "sort") continue;
    const label = LABELS[name] ?? name;
    found.push({ name, label, value: name === "since" ? `last ${value}` : value });
  }
  return found;
}

/** Read what was typed: `workflow:order tag:vip words` is filters and a text in the input. */
export function typed(search: RunsSearch, text: string): RunsSearch {
  let next = search;
  const words: string[] = [];
  for (const word of text.trim().split(/\s+/)) {
    const [, name, value] = /^(\w+):(\S+)$/.exec(word) ?? [];
    if (name === "status" && value) next = changed(next, "status", value.split(","));
    else if (name && value && (TEXTS as readonly string[]).includes(name)) {
      next = changed(next, name as (typeof TEXTS)[number], value);
    } else if (word) words.push(word);
  }
  return words.length ? changed(next, "text", words.join(" ")) : next;
}
