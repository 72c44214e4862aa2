// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** Records that could not be applied: a list, one whole, and given again with a reason. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, deadRecord, open, say, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

it("lists records by pages, shows one whole, and gives it again once", async () => {
  const whole = { headers: [{ name: "theirs", value: "h" }], value: '{"n":1}', remedy: "remove the cause", can_redrive: true };
  const left = deadRecord("2-4", { key: "o2" });
  let record = deadRecord("3-17");
  const site = new Site({
    status: () => ({ at: record.time, partitions: [], ingress: null, queues: [], concerns: [], processes: [] }),
    dead: (query) => (query.get("after") ? { records: [left], following: null } : { records: [record], following: "4.17" }),
    "dead/3-17": () => ({ ...record, ...whole }),
    "dead/2-4": () => ({ ...left, ...whole, value: null, bytes: 17, can_redrive: false, remedy: "its value was too large to be kept" }),
    "dead/3-17/redrive": () => {
      record = deadRecord("3-17", { redriven: { act: "redrive", at: record.time, by: "ann", reason: "it is there" } });
      return { id: "3-17", topic: "inbox", is_ordered: true };
    },
  });
  await open(site, "/stream");
  await until(() => expect(screen.getByRole("link", { name: "3-17" })).toBeTruthy());
  fireEvent.click(screen.getByRole("button", { name: "Show older ones" }));
  await until(() => expect(screen.getByRole("link", { name: "2-4" })).toBeTruthy());
  expect(screen.queryByRole("button", { name: "Show older ones" })).toBeNull();

  fireEvent.click(screen.getByRole("link", { name: "3-17" }));
  await until(() => expect(screen.getByText("remove the cause")).toBeTruthy());
  expect(screen.getByText("inbox, partition 0, offset 9")).toBeTruthy();
  expect(screen.getByText("theirs")).toBeTruthy();
  expect(screen.getByLabelText("Value").textContent).toContain('"n": 1');
  fireEvent.click(screen.getByRole("button", { name: "Give again…" }));
  await say("it is there", "Give again");
  await until(() => expect(screen.getByText(/It was given again by ann: it is there/)).toBeTruthy());
  expect(site.told).toEqual([{ path: "dead/3-17/redrive", body: { reason: "it is there" } }]);
  expect(screen.queryByRole("button", { name: "Give again…" })).toBeNull();

  fireEvent.click(screen.getByRole("link", { name: "2-4" }));
  await until(() => expect(screen.getByText("its value was too large to be kept")).toBeTruthy());
  expect(screen.queryByRole("button", { name: "Give again…" })).toBeNull();
});
