// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** The list: a step of all runs that match, after a preview; and what is undone with them. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, entry, open, say, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

const AT = "2026-11-29T14:00:00Z";
const operation = {
  id: "o1", act: "skip", subject: "", status: "completed", told: 2, found: 2, is_exact: true, replayed: null, by: "ann", reason: "", begun: AT, ended: AT, error: null,
};
const waiting = (id: string) => ({ ...entry(id), status: "waiting", ended: null });
const filter = { workflow: "order" };

it("skips a step of all that match, of those selected, and undoes all that match", async () => {
  const site = new Site({
    runs: () => ({ runs: [waiting("a"), waiting("b"), waiting("c")], following: null }),
    "runs/statuses": () => ({ counts: { waiting: 3 }, is_exact: true }),
    // The preview, the operation.
    operations: () => ({ ...operation, found: 2 }),
    "operations/o1": () => operation,
    "runs/a/steps/charge/skip": () => ({ id: "1" }),
    "runs/c/steps/charge/skip": () => ({ id: "2" }),
  });
  await open(site, "/runs?workflow=order");
  const press = (name: string) => fireEvent.click(screen.getByRole("button", { name, hidden: true }));
  await until(() => expect(screen.getByRole("button", { name: "Steps…" })).toBeTruthy());
  press("Steps…");
  await until(() => expect(document.querySelector("dialog .kv")?.textContent).toBe("will be asked2"));
  expect(site.told.at(-1)).toEqual({ path: "operations", body: { act: "skip", filter, dry_run: true } });
  fireEvent.change(screen.getByLabelText(/^Step/), { target: { value: "charge" } });
  await until(() => expect(site.told.at(-1)).toEqual({ path: "operations", body: { act: "skip", step: "charge", filter, dry_run: true } }));
  await say("free", "Ask them");
  await until(() => expect(site.told.at(-1)).toEqual({ path: "operations", body: { act: "skip", step: "charge", filter, reason: "free" } }));
  await until(() => expect(document.querySelector(".bulk [role=status]")?.textContent).toContain("2 of 2 asked"));

  // One of those selected refuses: the others are asked, and the refusal is shown.
  fireEvent.click(screen.getByRole("checkbox", { name: "Select all rows" }));
  press("Steps…");
  press("Ask them");
  await screen.findByText(/A step is needed/);
  fireEvent.change(screen.getByLabelText(/^Step/), { target: { value: "charge" } });
  const before = site.told.length;
  await say("free", "Ask them");
  await until(() => expect(site.told.slice(before).map((each) => each.path)).toEqual(["a", "b", "c"].map((run) => `runs/${run}/steps/charge/skip`)));
  expect(site.told.at(-1)!.body).toEqual({ reason: "free" });
  await until(() => expect(document.querySelector("dialog [role=alert]")).toBeTruthy());
  fireEvent.click(document.querySelector("dialog [aria-label=Close]")!);
  await until(() => expect(document.querySelector("dialog")).toBeNull());

  press("Select nothing");
  press("Cancel…");
  fireEvent.click(await screen.findByLabelText(/Undo what completed/));
  await say("closing", "Cancel 3 runs");
  await until(() => expect(site.told.at(-1)).toEqual({ path: "operations", body: { act: "cancel", filter, reason: "closing", compensate: true } }));
});
