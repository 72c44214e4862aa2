// @vitest-environment happy-dom
/** The timeline of a run in which nothing has begun. */

import { cleanup, render } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";

import { precise } from "../src/pure/time";
import { Timeline } from "../src/screens/timeline";

afterEach(cleanup);

it("begins when the run was created", () => {
  const nothing = () => undefined;
  const created = Date.parse("2026-11-29T14:05:09Z");
  const { container } = render(
    <Timeline
      picture={{ lanes: [], moments: [], spent: [] }}
      deployed={[]}
      created={created}
      now={created + 60_000}
      isOver={false}
      fold
      onFold={nothing}
      onSelect={nothing}
      onToggle={nothing}
    />,
  );
  expect(container.textContent).toContain(precise(created).slice(0, 8));
  expect(container.textContent).not.toContain("00:00:00");
});
