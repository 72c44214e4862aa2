import { describe, expect, it } from "vitest";

import { beginning, lines } from "../src/pure/lines";

describe("lines", () => {
  it("has those of the text, and pieces of long ones", () => {
    expect(lines("ab\n\nabcdefg", 3)).toEqual(["ab", "", "abc", "def", "g"]);
    expect(lines("", 3)).toEqual([""]);
  });
});

describe("the beginning of a value", () => {
  it.each([[{}], [[]], [null], ["a\nb"], [1.5], [true], [{ a: [1, { b: "c" }], d: null }]])("of %j is that of its JSON", (value) => {
    expect(beginning(value, 1_000)).toBe(JSON.stringify(value));
    expect(beginning(value, 5)).toBe(JSON.stringify(value).slice(0, 5));
  });

  it("does not look at what does not fit", () => {
    let looks = 0;
    const watched = new Proxy(Array.from({ length: 100_000 }, (_, i) => ({ number: i })), {
      get: (all, name) => {
        looks++;
        return Reflect.get(all, name) as unknown;
      },
    });
    expect(beginning(watched, 200)).toHaveLength(200);
    expect(looks).toBeLessThan(100);
    expect(beginning(["x".repeat(5_000_000)], 200)).toBe(`["${"x".repeat(198)}`);
  });
});
