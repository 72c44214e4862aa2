// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** The list: "Mark reviewed" for all runs that match. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, entry, open, say, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

const AT = "2026-11-29T14:00:00Z";
const failed = (id: string) => ({ ...entry(id), status: "failed", word: "Needs review" as const });
const operation = {
  id: "o1", act: "review", subject: "", status: "completed", told: 2, found: 2, is_exact: true, replayed: null, by: "ann", reason: "", begun: AT, ended: AT, error: null,
};

it("marks all runs that match, and says beforehand how many of them nobody has reviewed", async () => {
  const site = new Site({
    runs: () => ({ runs: [failed("a"), failed("b"), failed("c")], following: null }),
    "runs/statuses": (query) => ({ counts: query.get("reviewed") === "false" ? { failed: 2 } : { failed: 3 }, is_exact: true }),
    operations: () => operation,
    "operations/o1": () => operation,
  });
  await open(site, "/runs?workflow=order&status=%5B%22failed%22%5D");
  await until(() => expect(screen.getByRole("button", { name: "Mark reviewed…" })).toBeTruthy());
  fireEvent.click(screen.getByRole("button", { name: "Mark reviewed…" }));
  await until(() => expect(document.querySelector("dialog .kv")?.textContent).toBe("will be marked as reviewed2did not fail, or reviewed before: left alone1"));
  await say("looked at", "Mark reviewed 2 runs");
  await until(() => expect(site.told).toHaveLength(1));
  expect(site.told[0]).toEqual({ path: "operations", body: { act: "review", reason: "looked at", filter: { status: ["failed"], workflow: "order" } } });
  await until(() => expect(document.querySelector(".bulk [role=status]")?.textContent).toContain("2 of 2 asked"));
});
