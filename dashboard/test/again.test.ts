import { describe, expect, it } from "vitest";

import { againSchema, bodyOfAgain } from "../src/pure/again";
import { faults, field, filled } from "../src/pure/form";
import { repairsOf } from "../src/pure/repairs";

describe("starting again", () => {
  const schema = { $ref: "#/$defs/Order", $defs: { Order: { type: "object", title: "Order", required: ["id"], properties: { id: { type: "string" } } } } };

  it("asks for the input by the schema of the workflow, wherever its parts are", () => {
    const made = field(againSchema(schema, true), "");
    expect(made.fields.input!.label).toBe("Input");
    expect(Object.keys(made.fields.input!.fields)).toEqual(["id"]);
    expect(faults(made, { input: {} })).toEqual({ "input.id": "input.id is needed" });
  });

  it("asks for no input of whoever sees none", () => {
    expect(Object.keys(field(againSchema(schema, false), "").fields)).toEqual(["id"]);
  });

  it("sends an input alone that was changed", () => {
    expect(bodyOfAgain({ input: { id: "1" } }, { id: "1" })).toEqual({});
    expect(bodyOfAgain({ id: "order-2" }, { id: "1" })).toEqual({ id: "order-2" });
    expect(bodyOfAgain({ input: { id: "2" }, id: "" }, { id: "1" })).toEqual({ input: { id: "2" } });
    expect(bodyOfAgain({ input: null }, { id: "1" })).toEqual({ input: null });
  });
});

describe("what is filled in", () => {
  it("leaves out what is empty, and keeps what is false or nought", () => {
    expect(filled({ a: "", b: null, c: undefined, d: 0, e: false, f: [] })).toEqual({ d: 0, e: false, f: [] });
  });

  it("may be null where anything may be", () => {
    expect(faults(field({ title: "Data" }), null)).toEqual({});
    expect(faults(field({ type: "integer" }, "n"), null)).toEqual({ "": "n cannot be null" });
  });
});

describe("repairs", () => {
  it("are each said once, with what they are for", () => {
    const found = [
      { thing: "topic a", repair: "apply_topics" },
      { thing: "run 1", repair: null },
      { thing: "schema sd", repair: "migrate" },
      { thing: "topic b", repair: "apply_topics" },
    ];
    expect(repairsOf(found)).toEqual([
      { what: "Create and correct topics", things: ["topic a", "topic b"] },
      { what: "Apply the migrations", things: ["schema sd"] },
    ]);
    expect(repairsOf(found, 1)[0]!.things).toEqual(["topic a", "and 1 more"]);
  });
});
