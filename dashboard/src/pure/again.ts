/** What a run is started again with. */

import type { Schema } from "./form";

/** The form of it: the input by the schema of the workflow, where it may be seen, and an id; empty JSON is the same input. */
export function againSchema(input: Schema, maySee: boolean): Schema {
  const { $defs, ...own } = input;
  const id: Schema = { type: "string", title: "Id of the new run", description: "Empty: a random one." };
  const title = "Input";
  const isTyped = Object.keys(own).length > 0;
  return {
    type: "object",
    $defs,
    required: maySee && isTyped ? ["input"] : [],
    properties: maySee ? { input: { ...own, title, description: `That of this run, to be changed.${isTyped ? "" : " JSON; empty: the same."}` }, id } : { id },
  };
}

/** Return the body of the request: an input that nobody changed is left out, and so is the same. */
export function bodyOfAgain(given: Record<string, unknown>, input: unknown): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  if (given.id) body.id = given.id;
  if (given.input !== undefined && JSON.stringify(given.input) !== JSON.stringify(input)) body.input = given.input;
  return body;
}
