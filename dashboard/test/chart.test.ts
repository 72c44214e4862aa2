import { expect, test } from "vitest";

import { line } from "../src/pure/chart";

test.each([
  [[0, 0, 0], "M0 40 L50 40 L100 40"],
  [[1, 4, 2], "M0 30 L50 0 L100 20"],
  [[7], "M0 0"],
])("the line of %j", (values, path) => {
  expect(line(values, 100, 40)).toBe(path);
});
