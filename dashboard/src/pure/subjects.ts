/** What a stream of live changes is asked for, and which of the shown answers a change makes old. */

import type { QueryKey } from "@tanstack/react-query";

/** A run, the filter of a list, or the overview: as a pair of the stream's address. */
export type Subject = `run=${string}` | `list=${string}` | "overview=true";

const OVERVIEW: Subject = "overview=true";
/** Answers that change with runs, whichever. */
const OF_ALL = new Set(["overview", "workflows", "workflow"]);

/** Return the subject that an answer changes with; undefined: the stream says nothing about it. */
export function subjectOf(key: QueryKey, filter: (search: never) => object): Subject | undefined {
  const [kind, second, third] = key;
  if (kind === "run" && typeof second === "string") return `run=${second}`;
  if (kind === "runs" && (second === "list" || second === "statuses")) return `list=${written(filter((third ?? {}) as never))}`;
  if (kind === "runs" && second === "inputs") return OVERVIEW;
  return OF_ALL.has(String(kind)) ? OVERVIEW : undefined;
}

/** Return the subject of an event of the stream; undefined: of none. */
export function subjectOfEvent(event: string, data: { run?: string; list?: string }): Subject | undefined {
  if (event === "run") return `run=${data.run}`;
  if (event === "list") return `list=${data.list}`;
  return event === "overview" ? OVERVIEW : undefined;
}

/** Return the query of the stream's address. */
export function streamQuery(subjects: Iterable<Subject>, after: string): string {
  const query = new URLSearchParams();
  for (const subject of subjects) {
    const at = subject.indexOf("=");
    query.append(subject.slice(0, at), subject.slice(at + 1));
  }
  if (after) query.set("after", after);
  return query.toString();
}

function written(filter: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) {
    if (value === undefined || value === null || value === "" || value === false) continue;
    for (const each of Array.isArray(value) ? value : [value]) query.append(name, String(each));
  }
  return query.toString();
}
