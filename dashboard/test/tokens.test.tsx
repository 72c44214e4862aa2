// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://localhost/" }
/** Tokens of the API: the secret of a new one is shown once. */

import { fireEvent, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";

import { cleanup, open, Site, until } from "./site";

vi.setConfig({ testTimeout: 180_000 });
afterEach(cleanup);

const AT = "2026-11-29T14:00:00Z";

it("makes a token, shows its secret once, and revokes it", async () => {
  const tokens: { name: string; role: string; may_see_payloads: boolean; created: string; expires: null; revoked: string | null }[] = [];
  const site = new Site({
    tokens: () => {
      if (site.told.length === 1 && tokens.length === 0) {
        tokens.push({ name: "eve/ci", role: "operator", may_see_payloads: true, created: AT, expires: null, revoked: null });
        return { secret: "sdt_once" };
      }
      return { tokens };
    },
    "tokens/eve/ci": () => ((tokens[0]!.revoked = AT), { name: "eve/ci" }),
    settings: () => ({ settings: [] }),
  });
  await open(site, "/settings");
  const press = (name: string) => fireEvent.click(screen.getByRole("button", { name, hidden: true }));
  await screen.findByText(/There is none/, {}, { timeout: 20_000 });
  press("Make a token…");
  fireEvent.change(screen.getByLabelText("Name"), { target: { value: "eve/ci" } });
  fireEvent.click(screen.getByLabelText("operator"));
  fireEvent.click(screen.getByLabelText(/It shows/));
  press("Make it");
  await screen.findByText("sdt_once");
  press("I have it");
  await until(() => expect(document.body.textContent).not.toContain("sdt_once"));
  await until(() => expect(screen.getByText("eve/ci")).toBeTruthy());
  press("Revoke token eve/ci");
  press("Revoke it");
  await until(() => expect(screen.getByText("revoked")).toBeTruthy());
  expect(site.told).toEqual([
    { path: "tokens", body: { name: "eve/ci", role: "operator", payloads: true } },
    { path: "tokens/eve/ci", body: undefined },
  ]);
});
