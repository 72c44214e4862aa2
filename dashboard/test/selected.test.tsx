// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** The list: "Mark reviewed" for the selected runs. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, entry, open, say, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

const failed = (id: string) => ({ ...entry(id), status: "failed", word: "Needs review" as const });

it("marks the selected runs one by one, and leaves alone what nobody has to look at", async () => {
  const site = new Site({
    runs: () => ({ runs: [failed("a"), entry("done"), failed("b")], following: null }),
    "runs/statuses": () => ({ counts: { failed: 2, completed: 1 }, is_exact: true }),
    "runs/a/review": () => ({}),
    "runs/b/review": () => ({}),
  });
  await open(site, "/runs");
  await until(() => expect(screen.getByRole("checkbox", { name: "Select all rows" })).toBeTruthy());
  fireEvent.click(screen.getByRole("checkbox", { name: "Select all rows" }));
  fireEvent.click(screen.getByRole("button", { name: "Mark reviewed…" }));
  await say("known", "Mark reviewed 2 runs");
  await until(() => expect(site.told.map((each) => each.path)).toEqual(["runs/a/review", "runs/b/review"]));
  expect(site.told[0]!.body).toEqual({ reason: "known" });
});
