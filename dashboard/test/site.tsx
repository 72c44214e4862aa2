/** The page on a server made up for a test: it answers from functions, counts what it is asked and sends, and keeps what it is told. */

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { vi } from "vitest";

import type { DeadRecord, RunEntry, RunState, StepState } from "../src/api/models";

/** What is asked for: a path below the root of the API, with its query. */
type Answer = (query: URLSearchParams) => unknown;

const HEIGHT = 640;
const AT = "2026-11-29T14:00:00Z";

export class Site {
  /** Requests and bytes by path. */
  readonly asked = new Map<string, number>();
  readonly sent = new Map<string, number>();
  /** What was written, in order. */
  readonly told: { path: string; body: unknown }[] = [];
  readonly #answers: Record<string, Answer>;

  constructor(answers: Record<string, Answer>) {
    this.#answers = { me: () => ({ name: "ann", role: "admin", may_see_payloads: true, needs_token: false }), ...answers };
  }

  count(path: string): number {
    return this.asked.get(path) ?? 0;
  }

  readonly fetch = async (url: URL, init: RequestInit = {}): Promise<Response> => {
    const path = decodeURIComponent(url.pathname.replace("/api/v1/", ""));
    if (init.method !== "GET") this.told.push({ path, body: init.body ? (JSON.parse(init.body as string) as unknown) : undefined });
    const answer = this.#answers[path];
    if (!answer) return new Response(JSON.stringify({ code: "unknown", title: path, status: 404 }), { status: 404, headers: JSON_TYPE });
    const text = JSON.stringify(answer(url.searchParams));
    this.asked.set(path, this.count(path) + 1);
    this.sent.set(path, (this.sent.get(path) ?? 0) + text.length);
    return new Response(text, { headers: JSON_TYPE });
  };
}

const JSON_TYPE = { "content-type": "application/json" };

/** Open the page at an address on a site, once in a file: there is one router. Returns what its answers are kept in. */
export async function open(site: Site, at: string): Promise<QueryClient> {
  document.body.innerHTML = '<div id="root"></div>';
  Object.defineProperty(globalThis, "fetch", { value: site.fetch, configurable: true });
  Object.defineProperty(globalThis, "EventSource", { value: Silent, configurable: true });
  sized();
  const { routerOf } = await import("../src/router");
  const queries = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity, retry: false } } });
  const router = routerOf(queries);
  router.history.replace(at);
  await router.load();
  render(
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
    { container: document.getElementById("root")! },
  );
  return queries;
}

export { cleanup };

/** Give everything the size of a window: without a layout nothing has one. */
export function sized(): void {
  for (const name of ["offsetHeight", "clientHeight"]) {
    Object.defineProperty(HTMLElement.prototype, name, { get: () => HEIGHT, configurable: true });
  }
  for (const name of ["offsetWidth", "clientWidth"]) {
    Object.defineProperty(HTMLElement.prototype, name, { get: () => 1_200, configurable: true });
  }
}

/** Wait for a condition; a machine with much to do is slow. */
export function until(holds: () => void): Promise<void> {
  return vi.waitFor(holds, { timeout: 20_000, interval: 100 });
}

/** Scroll a region to a place, as a person does. */
export function scroll(region: Element, top: number): void {
  Object.defineProperty(region, "scrollTop", { value: top, configurable: true, writable: true });
  region.dispatchEvent(new Event("scroll", { bubbles: true }));
}

/** Give the reason in the open dialog, and send it. */
export async function say(reason: string, button: string): Promise<void> {
  fireEvent.change(await screen.findByLabelText("Reason"), { target: { value: reason } });
  fireEvent.click(screen.getByRole("button", { name: button, hidden: true }));
}

/** A stream that never says anything. */
class Silent extends EventTarget {
  static readonly OPEN = 1;
  static readonly CLOSED = 2;
  readonly readyState = 0;
  close(): void {}
}

export function entry(id: string): RunEntry {
  return {
    id, workflow: "order", fingerprint: "f".repeat(64), status: "completed", created: AT, updated: AT, ended: AT, done: 3, total: 3,
    tags: ["vip"], failure: null, queue: null, priority: 0, metadata: {}, trigger: "client", parent: null, parent_step: null, attempt: 1,
    started: AT, word: "Done", reason: "", needs_review: 0, overdue: 0, attributes: { amount: 9.5 }, into: null,
  };
}

/** A record that could not be applied. */
export function deadRecord(id: string, more: Partial<DeadRecord> = {}): DeadRecord {
  return {
    id, time: AT, topic: "inbox", partition: 0, offset: 9, written: AT, code: "unknown_run", reason: "there is no run 'o1'", key: "o1",
    bytes: 7, redriven: null, ...more,
  };
}

function step(name: string, after: string[], status: string): StepState {
  return {
    name, status, kind: "step", owner: null, after, attempt: 1, output: { n: 1 }, failure: null, started: AT, finished: AT,
    worker: "w1", held: null, due: null, percent: null, label: null, child: null, clause: null, members: [], waits_for: [], asked: null,
    outside: null, refused: [], sent: [], past: [], reviews: [], expected: null, overdue_since: null,
  };
}

/** A run of so many steps: chains of ten, side by side. */
export function wide(id: string, steps: number): RunState {
  const all = Array.from({ length: steps }, (_, i) => step(`s${i}`, i % 10 ? [`s${i - 1}`] : [], "completed"));
  const { needs_review: _, overdue: __, ...own } = entry(id);
  return {
    ...own, total: steps, done: steps, steps: all, helpers: [], current: [], children: 0, due: null, schedule: null, moment: null,
    requests: { cancel: null, pause: null, resume: null, retry: null }, input: { id: 1 }, context: {}, output: null, reactions: {},
    changes: [], answers: [], expected: null, overdue_since: null, reviewed: null,
  } as RunState;
}
