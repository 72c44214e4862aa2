// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** The overview: bindings that read nothing. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, open, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

const AT = "2026-11-29T14:00:00Z";

it("leads to bindings that read nothing, and resumes one that was paused", async () => {
  const none = { counts: {}, is_exact: true };
  const binding = (code: string, name: string) => ({
    word: "Blocked", code, sentence: `Binding ${name} of topic orders reads nothing.`, affected: 2, since: null, evidence: { binding: name, topic: "orders" },
  });
  const site = new Site({
    overview: () => ({ at: AT, counts: none, failed: none, runs: [], inputs: 0, concerns: [], gates: [], deployments: [], releases: [] }),
    attention: () => ({ needs: [binding("binding_stopped", "a:order"), binding("binding_off", "b:order")], is_whole: true }),
    flow: () => ({ stretches: [AT, "2026-11-29T14:01:00Z"].map((at) => ({ at, created: 4, failed: 2 })), width: 60_000, is_exact: true }),
    "bindings/b:order/resume": () => ({}),
  });
  await open(site, "/");
  await until(() => expect(screen.getByRole("button", { name: "Resume binding b:order" })).toBeTruthy());
  const links = screen.getAllByRole("link", { name: "2 waiting" }).map((link) => link.getAttribute("href"));
  expect(links).toEqual(["/triggers?binding=a%3Aorder", "/triggers?binding=b%3Aorder"]);
  fireEvent.click(screen.getByRole("button", { name: "Resume binding b:order" }));
  fireEvent.click(await screen.findByRole("button", { name: "Resume", hidden: true }));
  await until(() => expect(site.told).toHaveLength(1));
  expect(site.told[0]!.path).toBe("bindings/b:order/resume");
});
