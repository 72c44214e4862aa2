/** Forms from JSON Schema: the subset that models emit, with the raw value for all else. The server is the judge. */

export interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  format?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  prefixItems?: Schema[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  $ref?: string;
  $defs?: Record<string, Schema>;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minItems?: number;
  maxItems?: number;
  additionalProperties?: boolean | Schema;
}

export type FieldKind = "text" | "number" | "integer" | "switch" | "choice" | "choices" | "date" | "datetime" | "object" | "list" | "json";

export interface Field {
  kind: FieldKind;
  label: string;
  hint: string;
  isRequired: boolean;
  mayBeNull: boolean;
  schema: Schema;
  options: unknown[];
  fields: Record<string, Field>;
  /** Of a list: how each of its items is asked for. */
  item?: Field;
}

/** Deeper values are typed as JSON. */
const DEPTH_MAX = 4;

/** Return how a value of a schema is asked for. */
export function field(schema: Schema, label = "", isRequired = true, root: Schema = schema, depth = 0): Field {
  const { schema: found, mayBeNull } = resolve(schema, root);
  const plain = found.items ? { ...found, items: { ...found.items, ...resolve(found.items, root).schema } } : found;
  const made: Field = {
    kind: kindOf(plain, depth),
    label: schema.title ?? plain.title ?? label,
    hint: schema.description ?? plain.description ?? "",
    isRequired,
    mayBeNull,
    schema: { ...plain, default: schema.default === undefined ? plain.default : schema.default },
    options: [],
    fields: {},
  };
  if (made.kind === "choice") made.options = plain.enum ?? [plain.const];
  if (made.kind === "choices") made.options = plain.items?.enum ?? [];
  if (made.kind === "list") made.item = field(found.items ?? {}, "", true, root, depth + 1);
  if (made.kind === "object") {
    const required = new Set(plain.required ?? []);
    for (const [name, inner] of Object.entries(plain.properties ?? {})) {
      made.fields[name] = field(inner, name, required.has(name), root, depth + 1);
    }
  }
  return made;
}

function resolve(schema: Schema, root: Schema): { schema: Schema; mayBeNull: boolean } {
  let current = schema;
  let mayBeNull = false;
  for (let i = 0; i < 16; i++) {
    if (current.$ref) {
      const name = current.$ref.replace("#/$defs/", "");
      const target = root.$defs?.[name];
      if (!target) return { schema: {}, mayBeNull };
      current = target;
      continue;
    }
    const [only, ...others] = current.allOf ?? [];
    if (only && !others.length) {
      current = only;
      continue;
    }
    const choices = current.anyOf ?? current.oneOf;
    if (choices) {
      const rest = choices.filter((each) => each.type !== "null");
      mayBeNull ||= rest.length < choices.length;
      if (rest.length !== 1) return { schema: {}, mayBeNull };
      current = rest[0]!;
      continue;
    }
    if (Array.isArray(current.type)) {
      const rest = current.type.filter((each) => each !== "null");
      mayBeNull ||= rest.length < current.type.length;
      return { schema: rest.length === 1 ? { ...current, type: rest[0] } : {}, mayBeNull };
    }
    return { schema: current, mayBeNull };
  }
  return { schema: {}, mayBeNull };
}

function kindOf(schema: Schema, depth: number): FieldKind {
  if (schema.enum || schema.const !== undefined) return "choice";
  switch (schema.type) {
    case "string":
      return schema.format === "date" ? "date" : schema.format === "date-time" ? "datetime" : "text";
    case "number":
      return "number";
    case "integer":
      return "integer";
    case "boolean":
      return "switch";
    case "array":
      if (schema.items?.enum) return "choices";
      return schema.items && !schema.prefixItems && depth < DEPTH_MAX ? "list" : "json";
    case "object":
      return schema.properties && depth < DEPTH_MAX ? "object" : "json";
    default:
      return "json";
  }
}

/** What a form begins with: defaults, and nothing else filled in; of an object that may be left out, nothing. */
export function initial(made: Field): unknown {
  if (made.schema.default !== undefined) return made.schema.default;
  switch (made.kind) {
    case "object": {
      if (!made.isRequired) return undefined;
      const value: Record<string, unknown> = {};
      for (const [name, inner] of Object.entries(made.fields)) {
        const first = initial(inner);
        if (first !== undefined) value[name] = first;
      }
      return value;
    }
    case "choices":
      return [];
    case "list":
      return made.isRequired ? Array.from({ length: made.schema.minItems ?? 0 }, () => initial(made.item!)) : undefined;
    case "switch":
      return made.isRequired && !made.mayBeNull ? false : undefined;
    default:
      return undefined;
  }
}

/** What is wrong with a value, by path; each message names the limit. */
export function faults(made: Field, value: unknown, path = ""): Record<string, string> {
  const at = path || made.label || "value";
  const inner = (name: string | number) => (path ? `${path}.${name}` : String(name));
  if (value === undefined || value === "") {
    return made.isRequired && !(made.mayBeNull && value === undefined) ? { [path]: `${at} is needed` } : {};
  }
  // Of what is typed as JSON no more is known here.
  if (value === null) return made.mayBeNull || made.kind === "json" ? {} : { [path]: `${at} cannot be null` };
  const { schema } = made;
  switch (made.kind) {
    case "object":
      return Object.entries(made.fields).reduce(
        (found, [name, each]) => ({ ...found, ...faults(each, (value as Record<string, unknown>)[name], inner(name)) }),
        {},
      );
    case "number":
    case "integer": {
      const number = Number(value);
      if (typeof value === "string" || Number.isNaN(number)) return { [path]: "a number" };
      if (made.kind === "integer" && !Number.isInteger(number)) return { [path]: "a whole number" };
      if (schema.minimum !== undefined && number < schema.minimum) return { [path]: `at least ${schema.minimum}` };
      if (schema.maximum !== undefined && number > schema.maximum) return { [path]: `at most ${schema.maximum}` };
      if (schema.exclusiveMinimum !== undefined && number <= schema.exclusiveMinimum) {
        return { [path]: `more than ${schema.exclusiveMinimum}` };
      }
      if (schema.exclusiveMaximum !== undefined && number >= schema.exclusiveMaximum) {
        return { [path]: `less than ${schema.exclusiveMaximum}` };
      }
      return {};
    }
    case "text": {
      const length = [...String(value)].length;
      if (schema.minLength !== undefined && length < schema.minLength) {
        return { [path]: `at least ${schema.minLength} characters` };
      }
      if (schema.maxLength !== undefined && length > schema.maxLength) {
        return { [path]: `at most ${schema.maxLength} characters, not ${length}` };
      }
      if (schema.pattern !== undefined && !fits(schema.pattern, String(value))) return { [path]: `of the form ${schema.pattern}` };
      return {};
    }
    case "choices":
    case "list": {
      const chosen = value as unknown[];
      if (schema.minItems !== undefined && chosen.length < schema.minItems) return { [path]: `at least ${schema.minItems}` };
      if (schema.maxItems !== undefined && chosen.length > schema.maxItems) return { [path]: `at most ${schema.maxItems}` };
      return made.item ? Object.assign({}, ...chosen.map((each, i) => faults(made.item!, each, inner(i)))) : {};
    }
    default:
      return {};
  }
}

/** What was filled in, as the API takes it: without what was left empty. */
export function filled(value: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value as Record<string, unknown>).filter(([, each]) => each !== "" && each !== null && each !== undefined));
}

/** Whether a text fits a pattern; one that this browser cannot read is left to the server. */
function fits(pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true;
  }
}
