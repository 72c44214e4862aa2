// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** A run is asked something: without an answer in time the same inquiry is waited for. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, open, Site, until, wide } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

it("asks, waits for what was asked, and shows the answer and a refusal", async () => {
  const run = { ...wide("live", 3), status: "running", word: "Running" as const, ended: null, answers: ["quote"] };
  const none = { is_there: false, status: null, value: null, failure: null };
  const answers = [
    none,
    { ...none, is_there: true, status: "completed", value: { total: 9.5 } },
    { ...none, status: "failed", failure: { code: "too_many", message: "there are a hundred" } },
  ];
  const site = new Site({
    "runs/live": () => run,
    [`workflows/order/versions/${run.fingerprint}`]: () => ({ inquiries: { quote: { type: "integer", title: "Items" } } }),
    "runs/live/ask/quote": () => answers.shift(),
  });
  await open(site, "/runs/live");
  fireEvent.click(await screen.findByRole("button", { name: "Ask…" }, { timeout: 20_000 }));
  fireEvent.change(await screen.findByLabelText("Items"), { target: { value: "2" } });
  fireEvent.click(screen.getByRole("button", { name: "Ask quote", hidden: true }));
  await screen.findByText(/No answer yet/);
  fireEvent.click(screen.getByRole("button", { name: "Wait for the answer", hidden: true }));
  await until(() => expect(screen.getByLabelText("answer of quote").textContent).toContain("9.5"));
  fireEvent.change(screen.getByLabelText("Items"), { target: { value: "200" } });
  fireEvent.click(screen.getByRole("button", { name: "Ask quote", hidden: true }));
  await screen.findByText("too_many");
  const asked = site.told.map((each) => each.body as { data: number; id: string });
  expect(asked.map((each) => each.data)).toEqual([2, 2, 200]);
  expect(asked[0]!.id).toBe(asked[1]!.id);
  expect(asked[2]!.id).not.toBe(asked[1]!.id);
});
