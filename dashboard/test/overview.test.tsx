// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** The overview: "Mark reviewed" for all runs of a cause. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, open, say, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

const AT = "2026-11-29T14:00:00Z";

it("marks all runs of a cause from the overview", async () => {
  const cause = (code: string, affected: number) => ({
    word: "Needs review", code, sentence: `${affected} runs of \`order\` did not end well: ${code}`, affected, since: AT, evidence: { workflow: "order", step: "charge", code: "declined" },
  });
  const none = { counts: {}, is_exact: true };
  const site = new Site({
    overview: () => ({ at: AT, counts: none, failed: none, runs: [], inputs: 0, concerns: [], gates: [], deployments: [], releases: [] }),
    attention: () => ({ needs: [cause("compensation_failed", 1), cause("failed", 3)], is_whole: true }),
    flow: () => ({ stretches: [AT, "2026-11-29T14:01:00Z"].map((at) => ({ at, created: 4, failed: 2 })), width: 60_000, is_exact: true }),
    operations: () => ({ id: "o1" }),
  });
  await open(site, "/");
  await until(() => expect(screen.getByRole("button", { name: "Mark reviewed all of order: 3 runs" })).toBeTruthy());
  // What could not be undone takes a person: it is marked as well.
  expect(screen.getByRole("button", { name: "Mark reviewed all of order: 1 run" })).toBeTruthy();
  fireEvent.click(screen.getByRole("button", { name: "Mark reviewed all of order: 3 runs" }));
  await say("paid by hand", "Mark 3 runs");
  await until(() => expect(site.told).toHaveLength(1));
  expect(site.told[0]).toEqual({
    path: "operations",
    body: {
      act: "review", reason: "paid by hand",
      filter: { workflow: "order", failure_code: "declined", failed_step: "charge", status: ["failed"], created_since: "1d" },
    },
  });
  // What needs somebody is looked up again.
  await until(() => expect(site.count("attention")).toBeGreaterThan(1));
});
