import { expect, test } from "vitest";

import { needsStep, reach, stepOrder } from "../src/pure/reach";

const counts = { running: 3, paused: 2, cancelling: 1, completed: 5, failed: 4, compensation_failed: 1, cancelled: 7 };

test.each([
  ["cancel", [], 5, 18],
  ["pause", [], 3, 20],
  ["resume", [], 2, 21],
  ["retry", [], 4, 19],
  ["retry", ["cancelled"], 7, 0],
  ["review", [], 5, 18],
  ["review", ["failed"], 4, 0],
  ["cancel", ["running", "completed"], 3, 5],
] as const)("%s of %j reaches %i and leaves %i", (verb, chosen, reached, left) => {
  expect(reach(verb, counts, chosen)).toEqual({ reached, left });
});

test("of an act on steps only what belongs to it is sent, and all held steps may be meant by some", () => {
  expect(stepOrder({ act: "skip", step: "", output: 1, error: "x" })).toEqual({ act: "skip" });
  expect(stepOrder({ act: "complete", step: "a", error: "x" })).toEqual({ act: "complete", step: "a", output: null });
  expect(stepOrder({ act: "fail", step: "a", output: 1, error: "x" })).toEqual({ act: "fail", step: "a", error: "x" });
  expect((["skip", "fail", "complete", "cancel", "retry"] as const).map((act) => needsStep({ act }, false))).toEqual([false, false, true, true, true]);
  expect(needsStep({ act: "skip" }, true)).toBe(true);
});
