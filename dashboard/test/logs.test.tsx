// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** Logs of a run with very many lines: received once, drawn as far as they are in view, looked through in slices. */

import { fireEvent } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, open, Site, until, wide } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

it("100,000 log lines are received once, drawn as far as they are in view, and looked through in slices", async () => {
  const line = (step: number, n: number) => ({ step: `s${step}`, attempt: 1, time: new Date(Date.UTC(2026, 10, 29) + step * 200 + n).toISOString(), level: "info", text: `line ${step * 200 + n} written` });
  const attempt = (step: number) => ({
    step: `s${step}`, attempt: 1, status: "completed", started: null, finished: null, worker: "w1", failure: null,
    logs: Array.from({ length: 200 }, (_, n) => line(step, n)),
  });
  const site = new Site({
    "runs/wide": () => wide("wide", 500),
    "runs/wide/attempts": () => ({ attempts: Array.from({ length: 500 }, (_, step) => attempt(step)) }),
  });
  await open(site, "/runs/wide?view=logs");
  const shown = () => [...document.querySelectorAll(".logs > div")].map((each) => each.textContent);
  await until(() => expect(shown().length).toBeGreaterThan(10));
  expect(shown().length).toBeLessThan(80);
  const field = document.querySelector<HTMLInputElement>("input[aria-label='Find in logs']")!;
  fireEvent.change(field, { target: { value: "line 99999 " } });
  // Not at once: the page is not held up.
  expect(shown().length).toBeGreaterThan(10);
  await until(() => expect(shown()).toHaveLength(1));
  expect(shown()[0]).toContain("line 99999 written");
  fireEvent.change(field, { target: { value: "" } });
  await until(() => expect(shown().length).toBeGreaterThan(10));
  expect(site.count("runs/wide/attempts")).toBe(1);
});
