// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** What is asked for before a screen is there. */

import { QueryClient } from "@tanstack/react-query";
import { expect, it, vi } from "vitest";

import { routerOf } from "../src/router";
import { Site } from "./site";

vi.setConfig({ testTimeout: 180_000 });

it("asks for a run, once, while its screen is still to be drawn", async () => {
  const site = new Site({ "runs/a": () => ({ id: "a" }) });
  Object.defineProperty(globalThis, "fetch", { value: site.fetch, configurable: true });
  const router = routerOf(new QueryClient());
  router.history.replace("/runs/a");
  await router.load();
  await vi.waitFor(() => expect(site.count("runs/a")).toBe(1));
  router.history.replace("/runs/a?view=steps");
  await router.load();
  expect(site.count("runs/a")).toBe(1);
});
