// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** The stream: processes of all kinds with the releases that they run. */

import { screen, within } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import type { ProcessState, StatusShown } from "../src/api/models";
import { cleanup, open, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

const AT = "2026-11-29T14:00:00Z";
const process = (kind: string, version: string, isGone = false): ProcessState => ({
  kind, name: `${kind}-host-1`, host: "host", version, format: 2, since: AT, seen: AT, is_gone: isGone,
});

it("says which processes are there, and that they run several releases", async () => {
  const status: StatusShown = {
    at: AT, runs: {}, is_exact: true, partitions: [], reconcilers: null, ingress: null, queues: [], gates: [], dead: 0, concerns: [],
    processes: [process("api", "0.2"), process("ingress", "0.1"), process("reconciler", "0.0", true)],
  };
  await open(new Site({ status: () => status, dead: () => ({ records: [], following: null }) }), "/stream");
  await until(() => expect(screen.getByRole("region", { name: "Processes" })).toBeTruthy());
  const found = within(screen.getByRole("region", { name: "Processes" }));
  expect(found.getByRole("heading").textContent).toBe("Processes 2 releases 0.1, 0.2");
  expect(found.getAllByRole("row").map((row) => [...row.querySelectorAll("td")].slice(0, 4).map((cell) => cell.textContent?.trim()))).toEqual([
    [],
    ["api", "api-host-1", "0.2", "2"],
    ["ingress", "ingress-host-1", "0.1", "2"],
    ["reconciler, gone", "reconciler-host-1", "0.0", "2"],
  ]);
});
