// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** A run that has ended is started again, with another input. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, open, Site, until, wide } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

it("starts a run again with an edited input, and goes to the new one", async () => {
  const input_schema = { type: "object", required: ["id"], properties: { id: { type: "integer", title: "Id" } } };
  const site = new Site({
    "runs/old": () => wide("old", 3),
    "runs/new": () => wide("new", 3),
    "runs/old/start-again": () => ({ id: "new", created: true }),
    "workflows/order": () => ({ name: "order", fingerprint: "e".repeat(64), input_schema }),
  });
  await open(site, "/runs/old");
  fireEvent.click(await screen.findByRole("button", { name: "Start again…" }, { timeout: 20_000 }));
  expect((await screen.findByText(/the version that is deployed now/)).textContent).toContain("eeeeeee");
  const field = screen.getByLabelText<HTMLInputElement>("Id");
  expect(field.value).toBe("1");
  fireEvent.change(field, { target: { value: "" } });
  fireEvent.click(screen.getByRole("button", { name: "Start again", hidden: true }));
  await screen.findByText(/input.id is needed/);
  expect(site.told).toEqual([]);
  fireEvent.change(field, { target: { value: "7" } });
  fireEvent.click(screen.getByRole("button", { name: "Start again", hidden: true }));
  await until(() => expect(location.pathname).toBe("/runs/new"));
  expect(site.told).toEqual([{ path: "runs/old/start-again", body: { input: { id: 7 } } }]);
  await until(() => expect(document.querySelector("dialog")).toBeNull());
});
