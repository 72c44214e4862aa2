// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** What is done about a question beside answering it. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, open, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

const AT = "2026-11-29T14:00:00Z";

it("takes a question on, comments on it and hands it over", async () => {
  const input = {
    run: "r", workflow: "order", wait: "approve", answer: "approval", choices: [], prompt: "Ship 1?", role: "warehouse", assignee: "",
    since: AT, due: null, until: null, tags: [],
  };
  const site = new Site({
    inputs: () => ({ inputs: [input], following: null }),
    "inputs/r/approve": () => ({ ...input, schema: { type: "boolean" }, metadata: {}, changes: [] }),
    "inputs/r/approve/claim": () => ((input.assignee = "ann"), { id: "1" }),
    "inputs/r/approve/comment": () => ({ id: "2" }),
    "inputs/r/approve/assign": () => ((input.assignee = ""), { id: "3" }),
  });
  await open(site, "/inputs");
  const press = (name: string) => fireEvent.click(screen.getByRole("button", { name, hidden: true }));
  const closed = () => until(() => expect(document.querySelector("dialog")).toBeNull());
  await screen.findByRole("button", { name: "Take it on…" }, { timeout: 20_000 });
  press("Take it on…");
  press("Take it on");
  await closed();
  await until(() => expect(screen.getByText("Taken by")).toBeTruthy());
  expect(screen.queryByRole("button", { name: "Take it on…" })).toBeNull();
  press("Comment…");
  press("Note it");
  await screen.findByText(/text is needed/);
  fireEvent.change(document.querySelector("dialog textarea")!, { target: { value: "asked the shop" } });
  press("Note it");
  await closed();
  press("Hand over…");
  fireEvent.change(screen.getByLabelText(/^Comment$/), { target: { value: "on leave" } });
  press("Hand over");
  await closed();
  await until(() => expect(screen.getByRole("button", { name: "Take it on…" })).toBeTruthy());
  expect(site.told).toEqual([
    { path: "inputs/r/approve/claim", body: {} },
    { path: "inputs/r/approve/comment", body: { text: "asked the shop" } },
    { path: "inputs/r/approve/assign", body: { to: "", comment: "on leave" } },
  ]);
});
