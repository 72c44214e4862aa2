// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** Large runs, graphs, values and logs: what is drawn, asked for and received does not grow with them. */

import { fireEvent, render, renderHook } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import type { Drawn, RunState } from "../src/api/models";
import { Json } from "../src/parts/json";
import { usePlaces } from "../src/parts/layout";
import { Table } from "../src/parts/table";
import { layout } from "../src/pure/layout";
import { cleanup, open, scroll, Site, sized, until, wide } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

const STEPS = 10_000;

it("a run of 10,000 steps has as many lanes as fit, and is received once", async () => {
  const run = wide("wide", STEPS);
  const site = new Site({
    "runs/wide": () => run,
    "runs/wide/attempts": () => ({ attempts: [] }),
    "workflows/order/versions": () => ({ versions: [] }),
  });
  const queries = await open(site, "/runs/wide");
  const lanes = () => document.querySelectorAll(".tl__lanes .tl__row").length;
  await until(() => expect(lanes()).toBeGreaterThan(10));
  expect(lanes()).toBeLessThan(80);
  expect(document.querySelector("[role=table]")!.getAttribute("aria-rowcount")).toBe(String(STEPS + 1));
  expect(site.count("runs/wide")).toBe(1);
  expect(site.sent.get("runs/wide")).toBeLessThan(6_000_000);
  // Asked again without a change, it is what it was, and nothing is drawn anew; with one it is another.
  const before = queries.getQueryData(["run", "wide"]);
  await queries.invalidateQueries({ queryKey: ["run", "wide"] });
  expect(site.count("runs/wide")).toBe(2);
  expect(queries.getQueryData(["run", "wide"])).toBe(before);
  run.steps[0]!.status = "failed";
  await queries.invalidateQueries({ queryKey: ["run", "wide"] });
  expect(queries.getQueryData<RunState>(["run", "wide"])!.steps[0]!.status).toBe("failed");
  await until(() => expect(document.querySelector(".tl__lanes .tl__row [aria-label=failed]")).toBeTruthy());
});

it("the graph of 10,000 nodes is laid out once for its shape, whatever happens to its steps", async () => {
  const drawn = (status: string, more = 0): Drawn => ({
    nodes: Array.from({ length: STEPS + more }, (_, i) => ({ name: `s${i}`, kind: "step", layer: i % 10, owner: null, status })),
    edges: Array.from({ length: STEPS - 1 }, (_, i) => ({ source: `s${i}`, target: `s${i + 1}` })).filter((_, i) => i % 10 !== 9),
  });
  let calls = 0;
  const counted = async (...given: Parameters<typeof layout>) => {
    calls++;
    return layout(...given);
  };
  const make = () => counted as never;
  const { result, rerender } = renderHook(({ of }) => usePlaces(of, make), { initialProps: { of: drawn("pending") } });
  expect(result.current).toBeUndefined();
  await until(() => expect(result.current?.size).toBe(STEPS));
  for (const status of ["running", "completed", "failed"]) rerender({ of: drawn(status) });
  expect(calls).toBe(1);
  rerender({ of: drawn("failed", 1) });
  await until(() => expect(result.current?.size).toBe(STEPS + 1));
  expect(calls).toBe(2);
});

it("a table draws the rows that come into view, and not again those that stay", async () => {
  sized();
  let cells = 0;
  const columns = [{ key: "n", head: "n", cell: (row: number) => (cells++, row) }];
  render(<Table label="Numbers" columns={columns} rows={Array.from({ length: 20_000 }, (_, i) => i)} rowKey={String} />);
  const rows = () => document.querySelectorAll("tbody tr:not(.spacer)").length;
  await until(() => expect(rows()).toBeGreaterThan(20));
  const first = cells;
  expect(first).toBeLessThan(80);
  scroll(document.querySelector(".scroll.table")!, 10 * 32);
  await until(() => expect(document.querySelectorAll("tbody tr")[15]!.textContent).not.toBe("15"));
  expect(cells - first).toBeLessThan(30);
  expect(rows()).toBeLessThan(80);
});

it("a value of 5 MB is drawn as far as it is in view, and copied whole", async () => {
  sized();
  const value = Array.from({ length: 50_000 }, (_, number) => ({ number, text: "a".repeat(80) }));
  const text = JSON.stringify(value, null, 2);
  expect(text.length).toBeGreaterThan(5_000_000);
  render(<Json value={value} label="output" />);
  const nodes = () => document.querySelectorAll(".json *").length;
  expect(nodes()).toBeLessThan(200);
  fireEvent.click(document.querySelector(".json .link:last-child")!);
  await until(() => expect(document.querySelectorAll(".lines > span").length).toBeGreaterThan(20));
  expect(nodes()).toBeLessThan(400);
  scroll(document.querySelector(".json .scroll")!, 3_000_000);
  await until(() => expect(document.querySelector(".lines")!.textContent).not.toContain('"number": 0,'));
  expect(nodes()).toBeLessThan(400);
  let copied = "";
  Object.defineProperty(navigator, "clipboard", { value: { writeText: async (given: string) => void (copied = given) }, configurable: true });
  fireEvent.click(document.querySelector('[title="Copy output"]')!);
  expect(copied).toBe(text);
});
