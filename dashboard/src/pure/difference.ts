/** The difference of two JSON values, by path. */

export type Change =
  | { kind: "same"; path: string; value: unknown }
  | { kind: "added"; path: string; value: unknown }
  | { kind: "removed"; path: string; value: unknown }
  | { kind: "changed"; path: string; from: unknown; value: unknown };

/** Return the changes from one value to another, in the order of the newer one's keys, then what it lost. */
export function difference(from: unknown, to: unknown, path = ""): Change[] {
  if (isObject(from) && isObject(to)) {
    const keys = [...Object.keys(to), ...Object.keys(from).filter((key) => !(key in to))];
    return keys.flatMap((key) => {
      const inner = path ? `${path}.${key}` : key;
      if (!(key in from)) return [{ kind: "added", path: inner, value: to[key] } as const];
      if (!(key in to)) return [{ kind: "removed", path: inner, value: from[key] } as const];
      return difference(from[key], to[key], inner);
    });
  }
  if (Array.isArray(from) && Array.isArray(to)) {
    const longest = Math.max(from.length, to.length);
    return Array.from({ length: longest }, (_, i): Change[] => {
      const inner = `${path}[${i}]`;
      if (i >= from.length) return [{ kind: "added", path: inner, value: to[i] }];
      if (i >= to.length) return [{ kind: "removed", path: inner, value: from[i] }];
      return difference(from[i], to[i], inner);
    }).flat();
  }
  if (Object.is(from, to) || JSON.stringify(from) === JSON.stringify(to)) return [{ kind: "same", path, value: to }];
  return [{ kind: "changed", path, from, value: to }];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
