/** Requests to the API, and what they answer. Refusals are thrown as problems. */

import { queryOptions, type QueryKey } from "@tanstack/react-query";

import type { RunsSearch } from "../pure/filters";
import type { Attempts, Definition, Explanation, FamilyShown, History, RunList, RunState, RunStatuses, Versions } from "./models";
import { problemOf } from "./problem";

const ROOT = new URL("api/v1/", document.baseURI);

type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

function address(path: string, query: Query = {}): URL {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === "" || value === false) continue;
    for (const each of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(each));
  }
  return url;
}

async function send<T>(method: string, url: URL, body?: unknown, signal?: AbortSignal): Promise<T> {
  return read<T>(await ask(method, url, body, signal));
}

interface Said {
  ok: boolean;
  status: number;
  isJson: boolean;
  text: string;
}

async function ask(method: string, url: URL, body?: unknown, signal?: AbortSignal): Promise<Said> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (method !== "GET") {
    headers["content-type"] = "application/json";
    headers["idempotency-key"] = crypto.randomUUID();
    headers["x-stream-durable"] = "page";
  }
  const answer = await fetch(url, {
    method,
    headers,
    signal,
    credentials: "same-origin",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const isJson = answer.headers.get("content-type")?.includes("json") ?? false;
  return { ok: answer.ok, status: answer.status, isJson, text: await answer.text() };
}

function read<T>({ ok, status, isJson, text }: Said): T {
  const value = isJson && text ? (JSON.parse(text) as unknown) : undefined;
  if (!ok) throw problemOf(status, value);
  return value as T;
}

/** A segment of a path, whatever is in it. */
export const part = encodeURIComponent;

export function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  return send<T>("GET", address(path, query), undefined, signal);
}

const texts = new WeakMap<object, string>();

/** What may be as large as a run: an answer that is the same as before is not read again, and nothing is drawn anew. */
function large<T extends object>(queryKey: QueryKey, path: string, query?: Query) {
  return queryOptions({
    queryKey,
    queryFn: async ({ client, signal }) => {
      const said = await ask("GET", address(path, query), undefined, signal);
      const before = client.getQueryData<T>(queryKey);
      if (said.ok && before && texts.get(before) === said.text) return before;
      const found = read<T>(said);
      texts.set(found, said.text);
      return found;
    },
    // To find out which parts are the same costs more than to draw what is in view.
    structuralSharing: false,
  });
}

export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return send<T>("POST", address(path), body);
}

export function patch<T>(path: string, body: unknown): Promise<T> {
  return send<T>("PATCH", address(path), body);
}

export function remove<T>(path: string): Promise<T> {
  return send<T>("DELETE", address(path));
}

/** The filters of the address as the API takes them. */
export function filterOf(search: RunsSearch): Query {
  return {
    status: search.status,
    workflow: search.workflow,
    fingerprint: search.version,
    tag: search.tag,
    queue: search.queue,
    parent: search.parent,
    created_since: search.since,
    input_text: search.text,
    failed: search.failed,
    // As a text, since what is false is left out.
    reviewed: search.reviewed === undefined ? undefined : String(search.reviewed),
    failure_code: search.code,
    failed_step: search.at,
    attributes: search.where?.split(","),
  };
}

/** Runs of a page of the list. */
export const PAGE = 100;

export const runsPage = (search: RunsSearch, after: string | null) => (signal: AbortSignal) =>
  get<RunList>("runs", { ...filterOf(search), sort: search.sort, limit: PAGE, after }, signal);

export const statuses = (search: RunsSearch) =>
  queryOptions({
    queryKey: ["runs", "statuses", search],
    queryFn: ({ signal }) => get<RunStatuses>("runs/statuses", filterOf({ ...search, status: undefined }), signal),
  });

export const run = (id: string) => large<RunState>(["run", id], `runs/${part(id)}`);

export const attempts = (id: string) => large<Attempts>(["run", id, "attempts"], `runs/${part(id)}/attempts`);

export const history = (id: string, evidence: boolean) =>
  large<History>(["run", id, "history", evidence], `runs/${part(id)}/history`, { evidence });

/** Why a run, or a step of it, is where it is, in one sentence. */
export const why = (id: string, step?: string) =>
  queryOptions({
    queryKey: ["run", id, "why", step],
    queryFn: ({ signal }) => get<Explanation>(`runs/${part(id)}/why`, { step, zone: timeZone() }, signal),
  });

function timeZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** More than a run has ancestors, so that the way down to it is among them. */
const ANCESTORS_MAX = 120;

/** The nearest of a family: its first ancestor, the way down to the run, then others. */
export const family = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "family"],
    queryFn: ({ signal }) => get<FamilyShown>(`runs/${part(id)}/family`, { limit: ANCESTORS_MAX }, signal),
  });

/** The versions of a workflow, the latest registered first. */
export const versions = (workflow: string) =>
  queryOptions({
    queryKey: ["versions", workflow],
    queryFn: ({ signal }) => get<Versions>(`workflows/${part(workflow)}/versions`, {}, signal),
    staleTime: 30_000,
    refetchInterval: 60_000,
  });

/** The definition of a version; it never changes. */
export const version = (workflow: string, fingerprint: string) =>
  queryOptions({
    queryKey: ["version", workflow, fingerprint],
    queryFn: ({ signal }) => get<Definition>(`workflows/${part(workflow)}/versions/${part(fingerprint)}`, {}, signal),
    staleTime: Infinity,
    refetchInterval: false,
  });
