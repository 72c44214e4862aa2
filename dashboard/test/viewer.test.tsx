// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** Whoever may only read sees no act, and everything else. */

import { screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, open, Site, until, wide } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

it("shows a viewer a run without any act", async () => {
  const run = { ...wide("live", 3), status: "running", word: "Running" as const, ended: null, answers: ["quote"] };
  run.steps[2]!.status = "running";
  const site = new Site({
    me: () => ({ name: "eve", role: "viewer", may_see_payloads: false, needs_token: true }),
    "runs/live": () => run,
  });
  await open(site, "/runs/live?step=s2");
  await until(() => expect(screen.getByRole("complementary", { name: "Step s2" })).toBeTruthy());
  await until(() => expect(site.count("me")).toBe(1));
  expect(screen.queryAllByRole("button").filter((each) => each.textContent!.endsWith("…"))).toEqual([]);
});
