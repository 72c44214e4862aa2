// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** Large runs and graphs: what is drawn, asked for and received does not grow with them. */

import { renderHook } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import type { Drawn } from "../src/api/models";
import { usePlaces } from "../src/parts/layout";
import { layout } from "../src/pure/layout";
import { cleanup, open, Site, until, wide } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

const STEPS = 5_000;

it("a run of 5,000 steps has as many lanes as fit, and is received once", async () => {
  const run = wide("wide", STEPS);
  const site = new Site({
    "runs/wide": () => run,
    "runs/wide/attempts": () => ({ attempts: [] }),
    "workflows/order/versions": () => ({ versions: [] }),
  });
  await open(site, "/runs/wide");
  const lanes = () => document.querySelectorAll(".tl__lanes .tl__row").length;
  await until(() => expect(lanes()).toBeGreaterThan(10));
  expect(lanes()).toBeLessThan(80);
  expect(document.querySelector("[role=table]")!.getAttribute("aria-rowcount")).toBe(String(STEPS + 1));
  expect(site.count("runs/wide")).toBe(1);
  expect(site.sent.get("runs/wide")).toBeLessThan(3_000_000);
});

it("the graph of 5,000 nodes is laid out once for its shape, whatever happens to its steps", async () => {
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
