// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** A list of 100,000 runs: rows drawn, pages kept and requests sent do not grow with how far it was scrolled. */

import type { InfiniteData } from "@tanstack/react-query";
import { afterEach, expect, it, vi } from "vitest";

import type { RunList } from "../src/api/models";
import { cleanup, entry, open, scroll, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

const ROW = 32;
const RUNS = 100_000;

function page(query: URLSearchParams): RunList {
  const from = Number(query.get("after") ?? 0);
  const limit = Number(query.get("limit"));
  const runs = Array.from({ length: Math.min(limit, RUNS - from) }, (_, i) => entry(`run-${from + i}`));
  return { runs, following: from + limit < RUNS ? String(from + limit) : null };
}

it("has as many rows as fit, keeps five pages, and asks for these alone after a change", async () => {
  const site = new Site({ runs: page, "runs/statuses": () => ({ counts: { completed: RUNS }, is_exact: false }) });
  const queries = await open(site, "/runs");
  const loaded = () => queries.getQueryData<InfiniteData<RunList>>(["runs", "list", {}])?.pages ?? [];
  const rows = () => document.querySelectorAll("main tbody tr:not(.spacer)");
  const first = () => Number(rows()[0]?.querySelector("a")?.textContent?.slice(4));
  await until(() => expect(first()).toBe(0));
  const table = document.querySelector(".scroll.table")!;
  let height = 0;
  Object.defineProperty(table, "scrollHeight", { get: () => height });
  for (let count = 1; count < 6; count++) {
    height = count * 100 * ROW;
    scroll(table, height - 640);
    await until(() => expect(loaded().at(-1)!.runs.at(-1)!.id).toBe(`run-${count * 100 + 99}`));
  }
  expect(site.count("runs")).toBe(6);
  expect(loaded().map((each) => each.runs[0]!.id)).toEqual(["run-100", "run-200", "run-300", "run-400", "run-500"]);
  expect(rows().length).toBeLessThan(80);
  expect(site.sent.get("runs")! / 6).toBeLessThan(60_000);
  await until(() => expect(document.querySelector("main table")!.getAttribute("aria-rowcount")).toBe("601"));
  // A change: what is kept is asked for again, not all that was scrolled through.
  await queries.invalidateQueries({ queryKey: ["runs", "list"] });
  expect(site.count("runs")).toBe(11);
  // Back up, past what was dropped.
  scroll(table, 100 * ROW);
  await until(() => expect(loaded()[0]!.runs[0]!.id).toBe("run-0"));
  expect(loaded()).toHaveLength(5);
  expect(site.count("runs")).toBe(12);
});
