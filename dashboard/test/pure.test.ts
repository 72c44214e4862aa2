import { describe, expect, it } from "vitest";

import { difference } from "../src/pure/difference";
import { changed, readSearch, toggled, tokens, typed } from "../src/pure/filters";
import { faults, field, initial } from "../src/pure/form";
import { reader } from "../src/pure/keys";
import { arrange, Course, type LaneAttempt, type LaneStep } from "../src/pure/lanes";
import { look, RUN_STATUSES, STATUSES } from "../src/pure/look";
import { duration, moment, relative } from "../src/pure/time";

describe("durations", () => {
  it.each([
    [0, "0 ms"],
    [88, "88 ms"],
    [9_800, "9.8 s"],
    [10_000, "10 s"],
    [59_499, "59 s"],
    [59_700, "1 min"],
    [169_000, "2 min 49 s"],
    [126_000, "2 min 06 s"],
    [3_600_000, "1 h"],
    [4_980_000, "1 h 23 min"],
    [252_000_000, "2 d 22 h"],
    [86_399_999, "1 d"],
    [-5, "0 ms"],
  ])("%d is %s", (ms, text) => expect(duration(ms)).toBe(text));

  it("has the day for other days, and the year for other years", () => {
    const now = new Date(2026, 10, 29, 14, 4, 25).getTime();
    expect(moment(new Date(2026, 10, 29, 9, 5, 6).getTime(), now)).toBe("09:05:06");
    expect(moment(new Date(2026, 10, 20, 13, 41).getTime(), now)).toBe("20 Nov 13:41");
    expect(moment(new Date(2025, 0, 2, 3, 4).getTime(), now)).toBe("2 Jan 2025 03:04");
  });

  it("says which side of now a moment is on", () => {
    expect(relative(60_000, 0)).toBe("in 1 min");
    expect(relative(0, 60_000)).toBe("1 min ago");
    expect(relative(0, 500)).toBe("now");
  });
});

describe("looks", () => {
  it("has one for every status of a run", () => {
    for (const status of RUN_STATUSES) expect(STATUSES).toContain(status);
  });

  it("draws what is blocked as blocked, whatever its status", () => {
    expect(look("running", "Blocked")).toEqual({ icon: "s-blocked", hue: "amber" });
    expect(look("paused", "Blocked")).toEqual({ icon: "s-paused", hue: "amber" });
    expect(look("running", "Waiting").hue).toBe("violet");
    expect(look("compensation_failed", "Needs review").icon).toBe("s-compfailed");
  });
});

const plain: LaneStep = { name: "", status: "completed", kind: "", attempt: 1, isWait: false };

function picture(steps: readonly LaneStep[], attempts: readonly LaneAttempt[], now: number, folded?: ReadonlySet<string>) {
  return new Course(arrange(steps, folded), attempts).at(now);
}

describe("lanes", () => {
  it("draws tries, the pauses between, and the last word", () => {
    const step = { ...plain, name: "charge", status: "failed", attempt: 2, started: 0, finished: 90, code: "declined" };
    const tries = [
      { step: "charge", attempt: 1, status: "failed", started: 0, finished: 20 },
      { step: "charge", attempt: 2, status: "failed", started: 50, finished: 90 },
    ];
    const [lane] = picture([step], tries, 1_000).lanes;
    expect(lane!.bars.map((bar) => [bar.kind, bar.hue, bar.from, bar.to])).toEqual([
      ["miss", "red", 0, 20],
      ["gap", "amber", 20, 50],
      ["solid", "red", 50, 90],
    ]);
    expect(lane!.text).toBe("declined");
  });

  it("goes on to now for what is under way", () => {
    const { lanes: found, moments } = picture(
      [
        { ...plain, name: "a", status: "running", started: 100 },
        { ...plain, name: "b", status: "waiting", started: 50, isWait: true },
        { ...plain, name: "c", status: "retrying", started: 10, finished: undefined, attempt: 2 },
      ],
      [{ step: "c", attempt: 1, status: "failed", started: 10, finished: 30 }],
      500,
    );
    expect(found.map((each) => each.bars.at(-1)!.kind)).toEqual(["live", "wait", "gap"]);
    expect(found.every((each) => each.bars.at(-1)!.to === 500)).toBe(true);
    expect(Math.max(...moments)).toBe(500);
  });

  it("has members under their group, and folds them", () => {
    const steps = [
      { ...plain, name: "checks", kind: "parallel", started: 0, finished: 30 },
      { ...plain, name: "fraud", owner: "checks", started: 0, finished: 10 },
      { ...plain, name: "after", started: 30, finished: 40 },
      { ...plain, name: "stock", owner: "checks", started: 0, finished: 30 },
    ];
    expect(picture(steps, [], 50).lanes.map((each) => [each.name, each.depth])).toEqual([
      ["checks", 0],
      ["fraud", 1],
      ["stock", 1],
      ["after", 0],
    ]);
    const folded = picture(steps, [], 50, new Set(["checks"])).lanes;
    expect(folded.map((each) => each.name)).toEqual(["checks", "after"]);
    expect(folded[0]!.bars).toEqual([{ kind: "group", hue: "grey", from: 0, to: 30, attempt: 0 }]);
  });

  it("says what a step that has not begun waits for", () => {
    const [lane] = picture([{ ...plain, name: "x", status: "pending", waits: "after charge" }], [], 5).lanes;
    expect(lane!.bars).toEqual([]);
    expect(lane!.text).toBe("after charge");
  });

  it("sums where time went", () => {
    const { spent } = picture(
      [
        { ...plain, name: "a", started: 0, finished: 10 },
        { ...plain, name: "b", isWait: true, started: 10, finished: 100 },
      ],
      [],
      100,
    );
    expect(spent.map((each) => [each.word, each.millis])).toEqual([
      ["Waits", 90],
      ["Own steps", 10],
    ]);
  });

  it("takes ten thousand steps, nested deeply", () => {
    const steps = Array.from({ length: 10_000 }, (_, i) => ({
      ...plain,
      name: `s${i}`,
      owner: i ? `s${i - 1}` : null,
      started: i,
      finished: i + 1,
    }));
    expect(picture(steps, [], 20_000).lanes).toHaveLength(10_000);
  });

  it("works out again what goes on, and that alone", () => {
    const steps: LaneStep[] = Array.from({ length: 10_000 }, (_, i) => ({ ...plain, name: `s${i}`, started: i, finished: i + 1 }));
    steps.push({ ...plain, name: "go", status: "waiting", isWait: true, started: 10_000 }, { ...plain, name: "last", status: "pending" });
    const course = new Course(arrange(steps), []);
    const before = course.at(20_000);
    const after = course.at(21_000);
    expect(after.lanes.flatMap((lane, i) => (lane === before.lanes[i] ? [] : [lane.name]))).toEqual(["go"]);
    expect(after.lanes[10_000]!.bars[0]).toMatchObject({ from: 10_000, to: 21_000 });
  });

  it("gives the same picture however often it was asked before", () => {
    const kinds = ["completed", "failed", "running", "waiting", "retrying", "pending", "ready", "cancelled"];
    const steps: LaneStep[] = Array.from({ length: 400 }, (_, i) => {
      const status = kinds[i % kinds.length]!;
      const isOver = status === "completed" || status === "failed" || status === "cancelled";
      return {
        ...plain, name: `s${i}`, status, isWait: i % 5 === 0, owner: i % 7 === 3 ? `s${i - 3}` : null,
        started: status === "pending" ? undefined : i * 10, finished: isOver ? i * 10 + 5 : undefined,
      };
    });
    const tries = steps.filter((each) => each.status === "retrying").map((each) => ({ step: each.name, attempt: 1, status: "failed", started: each.started, finished: each.started! + 3 }));
    const course = new Course(arrange(steps), tries);
    // From a moment on at which some steps, by the clock of another machine, have yet to begin.
    for (const now of [2_000, 2_500, 9_000]) {
      const { lanes, moments, spent } = course.at(now);
      const anew = picture(steps, tries, now);
      expect(lanes).toEqual(anew.lanes);
      expect(new Set(moments)).toEqual(new Set(anew.moments));
      expect(spent).toEqual(anew.spent);
    }
  });
});

describe("forms", () => {
  const schema = {
    type: "object",
    required: ["id", "total"],
    $defs: { Size: { enum: ["S", "M"], type: "string" } },
    properties: {
      id: { type: "string", minLength: 2, maxLength: 4 },
      total: { type: "number", minimum: 0, exclusiveMaximum: 10 },
      size: { $ref: "#/$defs/Size" },
      gift: { type: "boolean", default: true },
      note: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
      when: { type: "string", format: "date-time" },
      items: { type: "array", items: { type: "string" } },
    },
  };

  it("asks for each property in its own way", () => {
    const made = field(schema);
    const kinds = Object.fromEntries(Object.entries(made.fields).map(([name, inner]) => [name, inner.kind]));
    expect(kinds).toEqual({
      id: "text",
      total: "number",
      size: "choice",
      gift: "switch",
      note: "text",
      when: "datetime",
      items: "list",
    });
    expect(made.fields.items!.item!.kind).toBe("text");
    expect(made.fields.note!.mayBeNull).toBe(true);
    expect(made.fields.size!.options).toEqual(["S", "M"]);
    expect(initial(made)).toEqual({ gift: true, note: null });
  });

  it("names the limit", () => {
    const made = field(schema);
    expect(faults(made, { id: "x", total: 10 })).toEqual({ id: "at least 2 characters", total: "less than 10" });
    expect(faults(made, { id: "xxxxx", total: -1 })).toEqual({ id: "at most 4 characters, not 5", total: "at least 0" });
    expect(faults(made, {})).toEqual({ id: "id is needed", total: "total is needed" });
    expect(faults(made, { id: "abc", total: 3 })).toEqual({});
  });

  const deep = field({
    type: "object",
    required: ["lines"],
    $defs: { Line: { type: "object", required: ["sku"], properties: { sku: { type: "string", pattern: "^[A-Z]+$" }, gift: { type: "boolean" } } }, Colour: { enum: ["red", "blue"] } },
    properties: {
      lines: { type: "array", minItems: 1, items: { $ref: "#/$defs/Line" } },
      colours: { type: "array", items: { $ref: "#/$defs/Colour" } },
      address: { type: "object", required: ["city"], properties: { city: { type: "string" } } },
    },
  });

  it("asks for each item of a list, and names what is wrong with which", () => {
    expect(deep.fields.lines!.kind).toBe("list");
    expect(deep.fields.colours!.kind).toBe("choices");
    expect(deep.fields.colours!.options).toEqual(["red", "blue"]);
    expect(deep.fields.lines!.item!.fields.sku!.kind).toBe("text");
    expect(initial(deep)).toEqual({ lines: [{}], colours: [] });
    expect(faults(deep, { lines: [] })).toEqual({ lines: "at least 1" });
    expect(faults(deep, { lines: [{ sku: "A" }, { sku: "a" }, {}] })).toEqual({
      "lines.1.sku": "of the form ^[A-Z]+$",
      "lines.2.sku": "lines.2.sku is needed",
    });
  });

  it("asks nothing of an object that is left out", () => {
    expect(faults(deep, { lines: [{ sku: "A" }] })).toEqual({});
    expect(faults(deep, { lines: [{ sku: "A" }], address: {} })).toEqual({ "address.city": "address.city is needed" });
  });

  it("falls back to the raw value for what it does not know, cycles included", () => {
    expect(field({ anyOf: [{ type: "string" }, { type: "number" }] }).kind).toBe("json");
    expect(field({ $ref: "#/$defs/A", $defs: { A: { $ref: "#/$defs/A" } } }).kind).toBe("json");
    expect(field({}).kind).toBe("json");
  });
});

describe("differences", () => {
  it("is by path, with what was lost last", () => {
    expect(difference({ a: 1, gone: 2, list: [1] }, { a: 1, list: [1, { b: 2 }], c: null })).toEqual([
      { kind: "same", path: "a", value: 1 },
      { kind: "same", path: "list[0]", value: 1 },
      { kind: "added", path: "list[1]", value: { b: 2 } },
      { kind: "added", path: "c", value: null },
      { kind: "removed", path: "gone", value: 2 },
    ]);
    expect(difference({ a: 1 }, { a: "1" })).toEqual([{ kind: "changed", path: "a", from: 1, value: "1" }]);
  });
});

describe("filters in the address", () => {
  it("reads what it knows and drops the rest", () => {
    expect(readSearch({ status: "failed,paused", tag: "vip", colour: "red", text: "", workflow: 7 })).toEqual({
      status: ["failed", "paused"],
      tag: "vip",
      workflow: "7",
    });
  });

  it("begins at the first page again when a filter changes", () => {
    expect(changed({ after: "x", tag: "a" }, "tag", "b")).toEqual({ tag: "b" });
    expect(toggled({ status: ["failed"] }, "failed")).toEqual({});
    expect(toggled({ status: ["failed"] }, "paused").status).toEqual(["failed", "paused"]);
  });

  it("has a token for each filter", () => {
    expect(tokens({ status: ["failed"], since: "24h", after: "x" }).map((each) => `${each.label} ${each.value}`)).toEqual([
      "status failed",
      "created last 24h",
    ]);
  });

  it("reads what is typed", () => {
    expect(typed({ tag: "a" }, "workflow:order tag:vip order 42")).toEqual({
      tag: "vip",
      workflow: "order",
      text: "order 42",
    });
    expect(typed({ tag: "a" }, "  ")).toEqual({ tag: "a" });
  });
});

describe("keys", () => {
  const press = (key: string, more = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, ...more });

  it("knows sequences, single keys and those with Ctrl or Cmd", () => {
    const read = reader();
    const names = ["g r", "r", "Ctrl k", "?"];
    expect(read(press("g"), names, 0)).toBeUndefined();
    expect(read(press("r"), names, 500)).toBe("g r");
    expect(read(press("r"), names, 600)).toBe("r");
    expect(read(press("k", { metaKey: true }), names, 700)).toBe("Ctrl k");
    expect(read(press("k"), names, 800)).toBeUndefined();
    expect(read(press("?"), names, 900)).toBe("?");
  });

  it("forgets the first key after a while", () => {
    const read = reader();
    read(press("g"), ["g r", "r"], 0);
    expect(read(press("r"), ["g r", "r"], 5_000)).toBe("r");
  });
});
