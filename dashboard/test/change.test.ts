import { describe, expect, it } from "vitest";

import { bodyOf, changeFaults, changeSchema, keptLines, linesOf, valuesNow, type Values } from "../src/pure/change";
import { nodeOf, span, type Defined } from "../src/pure/definition";

const definition: Defined = {
  name: "order",
  nodes: [
    { kind: "step", name: "charge", retry: { attempts: 3, base_ms: 500 }, timeout_ms: 90_000, on_error: "hold" },
    { kind: "each", name: "pack", step: { kind: "step", name: "pack", retry: { attempts: 2 } }, over: "input.items" },
    { kind: "signal", name: "go", signals: ["a", "b"] },
  ],
  templates: [{ kind: "step", name: "later" }],
};
const run = { input: { id: 1 }, context: { order: { total: 5, "odd.name": 1 }, list: [1, 2], free: true } };
const node = nodeOf(definition, "charge");
const now = valuesNow(run, "charge", node, []);

describe("a change of a held run", () => {
  it("begins with what holds now: the definition, then each change of the step", () => {
    expect(now).toMatchObject({ attempts: 3, backoff: "exponential", base: "500ms", cap: "1m", timeout: "1m30s", input: { id: 1 } });
    expect(now.total).toBeUndefined();
    const later = valuesNow(run, "charge", node, [
      { step: "charge", after: { retry: { attempts: 7 }, total_ms: 3_600_000 } },
      { step: "other", after: { timeout_ms: 1 } },
    ]);
    expect(later).toMatchObject({ attempts: 7, base: "1s", total: "1h", timeout: "1m30s" });
  });

  it("asks for what the kind of step has", () => {
    expect(Object.keys(changeSchema("step", true).properties!)).toContain("total");
    expect(Object.keys(changeSchema("child", true).properties!)).not.toContain("total");
    expect(Object.keys(changeSchema("signal", false).properties!)).toEqual(["timeout"]);
    expect(Object.keys(changeSchema("parallel", true).properties!)).toEqual(["input", "context"]);
  });

  it("sends nothing that stays", () => {
    expect(bodyOf("charge", now, now)).toEqual({});
    expect(linesOf(now, now)).toEqual([]);
    expect(bodyOf("charge", now, { ...now, attempts: 5 })).toEqual({ attempts: 5, step: "charge" });
    expect(bodyOf("charge", now, { ...now, input: { id: 2 } })).toEqual({ input: { id: 2 } });
    expect(bodyOf("charge", now, { ...now, input: null })).toEqual({ input: null });
    expect(bodyOf("charge", now, { ...now, timeout: "2m", total: "" })).toEqual({ timeout: "2m", step: "charge" });
  });

  it("sends all of the retries where more than their number changes", () => {
    const retry = { attempts: 3, backoff: "fixed", base: "500ms", cap: "1m", jitter: 0 };
    expect(bodyOf("charge", now, { ...now, backoff: "fixed" })).toEqual({ retry, step: "charge" });
    const codes = valuesNow(run, "charge", { ...node!, retry: { attempts: 3, base_ms: 500, not_on: ["declined"] } }, []);
    expect(bodyOf("charge", codes, { ...codes, backoff: "fixed" })).toEqual({ retry: { ...retry, not_on: ["declined"] }, step: "charge" });
  });

  it("puts values of the context by path, lists as a whole", () => {
    const context = { order: { total: 6, "odd.name": 1 }, list: [1], free: true, made: { of: 1 } };
    const after: Values = { ...now, context };
    expect(bodyOf("charge", now, after).context).toEqual({ order: context.order, list: [1], made: { of: 1 } });
    const plain = { order: { total: 5 } };
    const inner = bodyOf("charge", { context: plain }, { context: { order: { total: 6, tax: 1 } } });
    expect(inner.context).toEqual({ "order.total": 6, "order.tax": 1 });
    expect(linesOf({ context: plain }, { context: { order: { total: 6 } } })).toEqual([{ what: "context.order.total", from: 5, to: 6 }]);
  });

  it("says what cannot be asked for", () => {
    expect(changeFaults(now, now)).toEqual({});
    expect(changeFaults(now, { ...now, context: { order: run.context.order } })).toEqual({
      context: "list, free cannot be taken out; put null in its place",
    });
    expect(changeFaults(now, { ...now, context: undefined }).context).toMatch("order, list, free");
    expect(changeFaults(now, { ...now, context: [] }).context).toMatch("an object");
    expect(changeFaults({ context: {} }, { context: { "a.b": 1 } }).context).toBe("a.b is no path");
    expect(Object.keys(changeFaults(now, { ...now, base: "soon", cap: "1h", timeout: "5", total: "1 h" }))).toEqual(["base", "timeout", "total"]);
  });

  it("shows what a run has kept of it", () => {
    expect(keptLines({ retry: { attempts: 3 }, timeout_ms: 90_000 }, { retry: { attempts: 5 }, timeout_ms: 120_000 })).toEqual([
      { what: "attempts", from: 3, to: 5 },
      { what: "time-out", from: "1m30s", to: "2m" },
    ]);
    expect(keptLines({ context: {} }, { context: { "a.b": 1 } })).toEqual([{ what: "context.a.b", from: undefined, to: 1 }]);
    expect(keptLines({ hidden: "object", bytes: 9 }, { hidden: "object", bytes: 9 })).toHaveLength(1);
  });
});

describe("a definition", () => {
  it("finds the node of a step, of a member and of a template", () => {
    expect(nodeOf(definition, "pack[0]", "pack")?.retry?.attempts).toBe(2);
    expect(nodeOf(definition, "later")?.kind).toBe("step");
    expect(nodeOf(definition, "none")).toBeUndefined();
  });

  it.each([
    [0, "0s"],
    [1_500, "1s500ms"],
    [5_400_000, "1h30m"],
    [93_784_005, "1d2h3m4s5ms"],
  ])("%d is typed as %s", (ms, text) => expect(span(ms)).toBe(text));
});
