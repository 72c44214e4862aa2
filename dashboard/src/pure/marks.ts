/** Marks of deployments over a time axis: those that are drawn at one place are one mark. */

export interface Deployed {
  workflow: string;
  fingerprint: string;
  /** In milliseconds. */
  at: number;
}

export interface Mark {
  at: number;
  /** From 0 to 1. */
  x: number;
  text: string;
}

/** So near to each other, as a share of the width, marks are one. */
const NEAR = 0.01;
/** So many are named; of more only their number is said. */
const NAMED = 2;

/** Return the marks of what was deployed between two moments, in order; `x` says where a moment is drawn. */
export function marks(found: readonly Deployed[], from: number, to: number, x: (at: number) => number): Mark[] {
  const groups: { at: number; x: number; each: Deployed[] }[] = [];
  for (const one of found.filter(({ at }) => at > from && at < to).sort((a, b) => a.at - b.at)) {
    const place = x(one.at);
    const last = groups.at(-1);
    if (last && place - last.x < NEAR) last.each.push(one);
    else groups.push({ at: one.at, x: place, each: [one] });
  }
  return groups.map(({ at, x: place, each }) => ({ at, x: place, text: `${named(each)} deployed` }));
}

/** What processes of a kind are called when several are meant. */
const KINDS: Record<string, string> = { reconciler: "reconcilers", worker: "workers", ingress: "ingresses", api: "API" };

interface Begun {
  version: string;
  kind: string;
  at: number;
}

/** Return the marks of releases of the engine: when the first process of a kind that is there with each has started. */
export function released(found: readonly Begun[], from: number, to: number, x: (at: number) => number): Mark[] {
  const groups: { at: number; x: number; version: string; kinds: string[] }[] = [];
  for (const { version, kind, at } of found.filter((one) => one.at > from && one.at < to).sort((a, b) => a.at - b.at)) {
    const place = x(at);
    const near = groups.findLast((each) => each.version === version && place - each.x < NEAR);
    if (near) near.kinds.push(KINDS[kind] ?? kind);
    else groups.push({ at, x: place, version, kinds: [KINDS[kind] ?? kind] });
  }
  return groups.map(({ at, x: place, version, kinds }) => ({ at, x: place, text: `${listed(kinds)} of release ${version} started` }));
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)!}`;
}

function named(each: readonly Deployed[]): string {
  if (each.length > NAMED) return `${each.length} versions`;
  return each.map(({ workflow, fingerprint }) => `${workflow} ${fingerprint.slice(0, 7)}`).join(", ");
}
