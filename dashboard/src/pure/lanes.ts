/** The lanes of a timeline: from steps and their attempts to bars. */

import type { Hue } from "./look";
import { isSettled } from "./look";
import { duration } from "./time";

export interface LaneStep {
  name: string;
  status: string;
  word?: string | null;
  /** What kind of node it is, in words; empty for a plain step. */
  kind: string;
  /** The group it belongs to. */
  owner?: string | null;
  started?: number;
  finished?: number;
  due?: number;
  attempt: number;
  isWait: boolean;
  isUndo?: boolean;
  code?: string | null;
  /** What is said where there is nothing to draw yet. */
  waits?: string;
  child?: string | null;
}

export interface LaneAttempt {
  step: string;
  attempt: number;
  status: string;
  started?: number;
  finished?: number;
  code?: string | null;
}

export type BarKind = "solid" | "live" | "miss" | "wait" | "gap" | "group";

export interface Bar {
  kind: BarKind;
  hue: Hue;
  from: number;
  to: number;
  /** The attempt it draws, from 1; 0: none. */
  attempt: number;
}

export interface Lane {
  name: string;
  label: string;
  status: string;
  word?: string | null;
  kind: string;
  depth: number;
  hasMembers: boolean;
  isFolded: boolean;
  bars: Bar[];
  /** Beside the bars: the true duration and what is worth saying. */
  readonly text: string;
  hue?: Hue;
}

/** A step at its place in the picture. */
export interface Placed {
  step: LaneStep;
  depth: number;
  /** Its members. */
  inner: readonly LaneStep[];
  isFolded: boolean;
}

/** Return the steps in their order, members under their group, and those of folded groups left out. */
export function arrange(steps: readonly LaneStep[], folded?: ReadonlySet<string>): Placed[] {
  const members = new Map<string, LaneStep[]>();
  const names = new Set(steps.map((each) => each.name));
  const top: LaneStep[] = [];
  for (const step of steps) {
    if (step.owner && names.has(step.owner) && step.owner !== step.name) {
      const known = members.get(step.owner);
      if (known) known.push(step);
      else members.set(step.owner, [step]);
    } else top.push(step);
  }
  const found: Placed[] = [];
  // By a stack of our own: expansions can be nested deeper than calls may be.
  const open = top.map((step) => ({ step, depth: 0 })).reverse();
  while (open.length) {
    const { step, depth } = open.pop()!;
    const inner = members.get(step.name) ?? NONE;
    const isFolded = inner.length > 0 && (folded?.has(step.name) ?? false);
    found.push({ step, depth, inner, isFolded });
    if (!isFolded) for (let i = inner.length - 1; i >= 0; i--) open.push({ step: inner[i]!, depth: depth + 1 });
  }
  return found;
}

const NONE: readonly never[] = [];

/** What is drawn of a run at a moment. */
export interface Picture {
  lanes: readonly Lane[];
  /** When something begins or ends, in no order. */
  moments: readonly number[];
  spent: readonly Spent[];
}

/** The picture of a run as time goes on: what has ended is worked out once, however often the clock ticks. */
export class Course {
  readonly #placed: readonly Placed[];
  readonly #tries = new Map<string, LaneAttempt[]>();
  #lanes: Lane[] | undefined;
  /** The lanes that go on to the present moment, by place. */
  #moving: number[] = [];
  /** Moments and times spent of all others. */
  #still: number[] = [];
  #sums: ReadonlyMap<string, Spent> = new Map();

  constructor(placed: readonly Placed[], attempts: readonly LaneAttempt[]) {
    this.#placed = placed;
    for (const each of attempts) {
      const known = this.#tries.get(each.step);
      if (known) known.push(each);
      else this.#tries.set(each.step, [each]);
    }
  }

  /** Return the picture at a moment, which is not before that of the last call. */
  at(now: number): Picture {
    const found = this.#lanes ? [...this.#lanes] : this.#begin(now);
    const moving = this.#moving.map((i) => (found[i] = this.#lane(this.#placed[i]!, now)));
    this.#lanes = found;
    return {
      lanes: found,
      moments: this.#still.concat(momentsOf(moving)),
      spent: [...addSpent(this.#sums, moving).values()].sort((a, b) => b.millis - a.millis),
    };
  }

  #begin(now: number): Lane[] {
    const found = this.#placed.map((each) => this.#lane(each, now));
    const still: Lane[] = [];
    found.forEach((each, i) => {
      if (each.bars.some((bar) => bar.to >= now)) this.#moving.push(i);
      else still.push(each);
    });
    this.#still = [...new Set(momentsOf(still))].sort((a, b) => a - b);
    this.#sums = addSpent(new Map(), still);
    return found;
  }

  #lane({ step, inner, depth, isFolded }: Placed, now: number): Lane {
    return lane(step, this.#tries.get(step.name) ?? NONE, inner, depth, isFolded, now);
  }
}

function lane(
  step: LaneStep,
  tries: readonly LaneAttempt[],
  inner: readonly LaneStep[],
  depth: number,
  isFolded: boolean,
  now: number,
): Lane {
  const bars = inner.length ? groupBars(step, inner, now) : step.isWait ? waitBars(step, now) : tryBars(step, tries, now);
  return {
    name: step.name,
    label: step.name,
    status: step.status,
    word: step.word,
    kind: inner.length ? [step.kind || "group", String(inner.length)].join(", ") : step.kind,
    depth,
    hasMembers: inner.length > 0,
    isFolded,
    bars,
    // Of most lanes nobody ever reads it.
    get text() {
      return words(step, bars, tries);
    },
    hue: step.status === "failed" ? "red" : undefined,
  };
}

function groupBars(step: LaneStep, inner: readonly LaneStep[], now: number): Bar[] {
  let from = step.started;
  // Not by `Math.min(...)`: a call takes so many arguments and no more.
  if (from === undefined) for (const { started } of inner) if (started !== undefined && !(from! <= started)) from = started;
  if (from === undefined) return [];
  return [{ kind: "group", hue: "grey", from, to: step.finished ?? now, attempt: 0 }];
}

function waitBars(step: LaneStep, now: number): Bar[] {
  if (step.started === undefined) return [];
  const hue: Hue = step.word === "Blocked" ? "amber" : "violet";
  const end = step.finished ?? (isSettled(step.status) ? step.started : now);
  const bars: Bar[] = [{ kind: "wait", hue, from: step.started, to: end, attempt: 0 }];
  if (step.status === "failed") bars.push({ kind: "solid", hue: "red", from: end, to: end, attempt: 0 });
  return bars;
}

function tryBars(step: LaneStep, tries: readonly LaneAttempt[], now: number): Bar[] {
  const bars: Bar[] = [];
  let last: number | undefined;
  const known = tries.length ? tries : own(step);
  known.forEach((each, i) => {
    const from = each.started ?? last ?? step.started;
    if (from === undefined) return;
    if (last !== undefined && from > last) bars.push({ kind: "gap", hue: "amber", from: last, to: from, attempt: 0 });
    const isLast = i === known.length - 1;
    const isOver = each.finished !== undefined || isSettled(each.status);
    const to = Math.max(from, each.finished ?? (isOver ? from : now));
    bars.push({ ...drawn(each, step, isLast, isOver), from, to, attempt: each.attempt });
    last = to;
  });
  if (last !== undefined && step.status === "retrying") {
    bars.push({ kind: "gap", hue: "amber", from: last, to: now, attempt: 0 });
  } else if (last !== undefined && step.status === "waiting") {
    bars.push({ kind: "wait", hue: "violet", from: last, to: now, attempt: 0 });
  } else if (last !== undefined && step.status === "ready") {
    const hue: Hue = step.word === "Blocked" ? "amber" : "blue";
    bars.push({ kind: "wait", hue, from: last, to: now, attempt: 0 });
  }
  return bars;
}

function own(step: LaneStep): LaneAttempt[] {
  if (step.started === undefined) return [];
  const { name, attempt, status, started, finished, code } = step;
  return [{ step: name, attempt, status, started, finished, code }];
}

function drawn(each: LaneAttempt, step: LaneStep, isLast: boolean, isOver: boolean): { kind: BarKind; hue: Hue } {
  if (!isOver) return { kind: "live", hue: step.isUndo ? "teal" : "blue" };
  if (each.status === "failed") {
    const isFinal = isLast && step.status === "failed";
    return { kind: isFinal ? "solid" : "miss", hue: "red" };
  }
  if (each.status === "cancelled" || each.status === "skipped") return { kind: "solid", hue: "grey" };
  if (each.status === "completed" || each.status === "compensated") {
    return { kind: "solid", hue: step.isUndo || each.status === "compensated" ? "teal" : "green" };
  }
  return { kind: "miss", hue: "grey" };
}

function words(step: LaneStep, bars: readonly Bar[], tries: readonly LaneAttempt[]): string {
  const first = bars[0];
  const last = bars.at(-1);
  if (!first || !last) {
    if (step.status === "pending" || step.status === "ready") return step.waits ?? "";
    return step.status === "completed" ? "" : step.status;
  }
  const took = duration(last.to - first.from);
  if (step.status === "failed") return step.code ?? "failed";
  if (step.status === "cancelled" || step.status === "skipped") return `${step.status}, ${took}`;
  if (tries.length > 1) return `attempt ${step.attempt || tries.length}, ${took}`;
  if (!isSettled(step.status) && step.waits) return `${took}, ${step.waits}`;
  return took;
}

function momentsOf(found: readonly Lane[]): number[] {
  const moments: number[] = [];
  for (const each of found) for (const bar of each.bars) moments.push(bar.from, bar.to);
  return moments;
}

/** Where a run's time went: people and events, own steps, tries again. */
export interface Spent {
  word: string;
  hue: Hue;
  kind: BarKind;
  millis: number;
}

function addSpent(before: ReadonlyMap<string, Spent>, found: readonly Lane[]): Map<string, Spent> {
  const sums = new Map([...before].map(([word, each]) => [word, { ...each }]));
  const add = (word: string, hue: Hue, kind: BarKind, millis: number) => {
    const known = sums.get(word);
    if (known) known.millis += millis;
    else sums.set(word, { word, hue, kind, millis });
  };
  for (const each of found) {
    for (const bar of each.bars) {
      const took = bar.to - bar.from;
      if (bar.kind === "group" || took <= 0) continue;
      if (bar.kind === "gap") add("Back-off", "amber", "gap", took);
      else if (bar.kind === "wait") add(bar.hue === "amber" ? "Blocked" : "Waits", bar.hue, "wait", took);
      else if (bar.kind === "miss") add("Failed attempts", "red", "miss", took);
      else add("Own steps", "blue", "solid", took);
    }
  }
  return sums;
}
