// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** The doctor: findings, and the repair of what is safe. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, open, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

it("shows what is wrong, previews a repair, and says what was done", async () => {
  const topic = { check: "topics", severity: "problem", thing: "topic sd.inbox", cause: "has no partitions", remedy: "run `topics apply`", repair: "apply_topics" };
  const off = { check: "schedules", severity: "warning", thing: "schedule nightly", cause: "is off", remedy: "`schedules resume nightly`", repair: null };
  const all = { problems: 1, warnings: 1, checks: { topics: 1, schedules: 1 }, findings: [topic, off], following: null };
  const left = { problems: 0, warnings: 1, checks: { schedules: 1 }, findings: [off], following: null };
  let isDone = false;
  const site = new Site({
    doctor: () => (isDone ? left : all),
    "doctor/repair": () => ((isDone = true), { repaired: ["created or corrected sd.inbox"], ...left }),
  });
  await open(site, "/doctor");
  await screen.findByText("1 problem, 1 warning", {}, { timeout: 20_000 });
  expect(screen.getAllByRole("listitem").map((each) => each.textContent)).toEqual([
    expect.stringContaining("topic sd.inbox has no partitions"),
    expect.stringContaining("schedules resume nightly"),
  ]);
  fireEvent.click(screen.getByRole("button", { name: "Repair…" }));
  expect(document.querySelector("dialog .kv")!.textContent).toBe("Create and correct topicstopic sd.inbox");
  fireEvent.click(screen.getByRole("button", { name: "Repair", hidden: true }));
  await screen.findByText(/created or corrected sd.inbox/);
  await screen.findByText("0 problems, 1 warning");
  expect(screen.queryByRole("button", { name: "Repair…" })).toBeNull();
  expect(site.told).toEqual([{ path: "doctor/repair", body: {} }]);
  await until(() => expect(screen.getAllByRole("listitem")).toHaveLength(1));
});
