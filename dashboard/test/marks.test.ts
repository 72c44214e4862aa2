import { expect, test } from "vitest";

import { marks, released } from "../src/pure/marks";

const at = (workflow: string, moment: number) => ({ workflow, fingerprint: `${workflow}0123456789`, at: moment });
const x = (moment: number) => moment / 1_000;

test("what was deployed outside of the time shown is no mark", () => {
  expect(marks([at("a", 0), at("b", 500), at("c", 1_000)], 0, 1_000, x)).toEqual([{ at: 500, x: 0.5, text: "b b012345 deployed" }]);
});

test("what is drawn at one place is one mark, named or counted", () => {
  expect(marks([at("b", 504), at("a", 500), at("z", 900)], 0, 1_000, x).map((each) => each.text)).toEqual([
    "a a012345, b b012345 deployed",
    "z z012345 deployed",
  ]);
  const many = Array.from({ length: 30 }, (_, i) => at(`w${i}`, 500 + i / 10));
  expect(marks(many, 0, 1_000, x)).toEqual([{ at: 500, x: 0.5, text: "30 versions deployed" }]);
});

test("a release of the engine is a mark where its first process of a kind started, or one for several kinds", () => {
  const found = [
    { version: "0.2.0", kind: "worker", at: 504 },
    { version: "0.2.0", kind: "reconciler", at: 500 },
    { version: "0.2.0", kind: "api", at: 900 },
    { version: "0.3.0", kind: "ingress", at: 502 },
    { version: "0.1.0", kind: "worker", at: -5 },
  ];
  expect(released(found, 0, 1_000, (at) => at / 1_000)).toEqual([
    { at: 500, x: 0.5, text: "reconcilers and workers of release 0.2.0 started" },
    { at: 502, x: 0.502, text: "ingresses of release 0.3.0 started" },
    { at: 900, x: 0.9, text: "API of release 0.2.0 started" },
  ]);
});
