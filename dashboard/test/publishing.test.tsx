// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** An event is published, with what its trigger says. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, open, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

it("publishes the event of a trigger with data, without a key", async () => {
  const trigger = { name: "restock", event: "stock.low", workflow: "order", id: "x", input: "data", match: {}, is_on: true, off_by: "", off_since: null, reason: "", app: "shop", is_undeclared: false };
  const site = new Site({ triggers: () => ({ triggers: [trigger] }), bindings: () => ({ bindings: [] }), events: () => ({ id: "1" }) });
  await open(site, "/triggers?trigger=restock");
  fireEvent.click(await screen.findByRole("button", { name: "Publish stock.low…" }, { timeout: 20_000 }));
  const data = screen.getByLabelText(/^Data/);
  fireEvent.change(data, { target: { value: '{"left": ' } });
  fireEvent.click(screen.getByRole("button", { name: "Publish", hidden: true }));
  await screen.findByText("not yet JSON");
  expect(site.told).toEqual([]);
  fireEvent.change(data, { target: { value: '{"left": 3}' } });
  fireEvent.change(screen.getByLabelText(/^Keep for/), { target: { value: "1d" } });
  fireEvent.click(screen.getByRole("button", { name: "Publish", hidden: true }));
  await until(() => expect(site.told).toEqual([{ path: "events", body: { event: "stock.low", data: { left: 3 }, ttl: "1d" } }]));
  await until(() => expect(document.querySelector("dialog")).toBeNull());
});
