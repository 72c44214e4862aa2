import { expect, test } from "vitest";

import { wayTo } from "../src/pure/family";

const chain = Array.from({ length: 101 }, (_, n) => ({ id: `r${n}`, parent: n ? `r${n - 1}` : null }));

test("the way leads from the first ancestor down to the run, past its relatives", () => {
  const others = Array.from({ length: 10 }, (_, n) => ({ id: `w${n}`, parent: "r0" }));
  expect(wayTo([...others, ...chain], "r100")).toEqual(chain);
  expect(wayTo(chain, "r0")).toEqual([chain[0]]);
});

test("it begins where nothing is known above, and ends in a circle", () => {
  expect(wayTo([{ id: "a", parent: "gone" }], "a").map((each) => each.id)).toEqual(["a"]);
  expect(wayTo([], "a")).toEqual([]);
  const circle = [
    { id: "a", parent: "b" },
    { id: "b", parent: "a" },
  ];
  expect(wayTo(circle, "a").length).toBeLessThan(5);
});
