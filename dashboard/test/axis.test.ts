import { describe, expect, it } from "vitest";

import { axis } from "../src/pure/axis";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const WIDE = { width: 800, fold: true };

function isOrdered(moments: number[], made: ReturnType<typeof axis>): boolean {
  const drawn = [...moments].sort((a, b) => a - b).map((at) => made.x(at));
  return drawn.every((x, i) => x >= 0 && x <= 1.000_001 && (i === 0 || x >= drawn[i - 1]!));
}

describe("the axis", () => {
  it("draws short runs to scale", () => {
    const made = axis([0, 100, 250, 400], WIDE);
    expect(made.segments).toHaveLength(1);
    expect(made.x(200)).toBeCloseTo(0.5);
  });

  it("folds a long wait, which stays linear inside", () => {
    const moments = [0, 500, 2_000, 2_000 + 71 * MINUTE, 2_000 + 71 * MINUTE + 900];
    const made = axis(moments, { ...WIDE, band: () => 80 });
    const folded = made.segments.filter((each) => each.folded);
    expect(folded).toHaveLength(1);
    expect((folded[0]!.right - folded[0]!.left) * 800).toBeCloseTo(80);
    const middle = made.x(2_000 + (71 * MINUTE) / 2);
    expect(middle).toBeCloseTo((folded[0]!.left + folded[0]!.right) / 2);
    expect(isOrdered(moments, made)).toBe(true);
  });

  it("folds each of several waits where the rest is short", () => {
    const work = [0, 10 * SECOND];
    const back = 10 * SECOND + 79 * MINUTE;
    const later = [10 * SECOND + 71 * MINUTE, ...[0, 10, 20, 30, 40, 205].map((past) => back + past * SECOND)];
    const made = axis([...work, 5_000, ...later], WIDE);
    expect(made.segments.filter((each) => each.folded).map((each) => Math.round((each.to - each.from) / SECOND))).toEqual([
      71 * 60, 8 * 60, 165,
    ]);
  });

  it("does not fold steps of like length", () => {
    const moments = Array.from({ length: 21 }, (_, i) => i * 6 * SECOND);
    expect(axis(moments, WIDE).segments.some((each) => each.folded)).toBe(false);
  });

  it("does not fold what is under two seconds", () => {
    expect(axis([0, 1, 2, 1_900], WIDE).segments.some((each) => each.folded)).toBe(false);
  });

  it("is one scale if asked for", () => {
    const made = axis([0, 500, HOUR, HOUR + 500], { width: 800, fold: false });
    expect(made.segments).toHaveLength(1);
    expect(made.x(HOUR / 2)).toBeCloseTo(0.5, 2);
  });

  it("shows a moment between two folded waits", () => {
    const made = axis([0, 8 * HOUR, 8 * HOUR + 40, 20 * HOUR, 20 * HOUR + 50], WIDE);
    const shown = made.segments.find((each) => each.from === 8 * HOUR)!;
    expect(shown.folded).toBe(false);
    expect((shown.right - shown.left) * 800).toBeGreaterThan(4);
  });

  it("takes moments in any order, equal ones, and clocks that step back", () => {
    const moments = [5_000, 0, 5_000, 4_000, Number.NaN, 4_000.25];
    const made = axis(moments, WIDE);
    expect(made.from).toBe(0);
    expect(made.to).toBe(5_000);
    expect(made.x(-50)).toBe(0);
    expect(made.x(9_999)).toBeCloseTo(1);
  });

  it("stands for a run without moments", () => {
    const made = axis([], WIDE);
    expect(made.x(made.from)).toBe(0);
    expect(axis([7], WIDE).x(7)).toBe(0);
  });

  it("takes sub-millisecond steps", () => {
    const made = axis([0, 0.2, 0.4, 0.5], WIDE);
    expect(made.x(0.5)).toBeGreaterThan(made.x(0.2));
  });

  it("places ten thousand lanes within a few milliseconds each way", () => {
    const moments = Array.from({ length: 20_000 }, (_, i) => i * 37 + (i > 9_000 ? HOUR : 0));
    const made = axis(moments, WIDE);
    expect(isOrdered(moments, made)).toBe(true);
    expect(made.segments.length).toBeLessThan(10);
  });

  it("keeps ticks apart and begins each stretch at nought", () => {
    const made = axis([0, 4_000, 8_000, 12_000, 12_000 + 3 * HOUR, 15_000 + 3 * HOUR], WIDE);
    expect(made.ticks.length).toBeGreaterThan(1);
    expect(made.ticks[0]!.label).toBe("0 s");
    const gaps = made.ticks.slice(1).map((each, i) => (each.x - made.ticks[i]!.x) * 800);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(24);
  });
});
