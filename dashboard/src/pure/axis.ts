/**
 * The axis of a timeline: piecewise linear, so that a week's wait does not hide a second's work.
 *
 * A stretch is the time between two neighbouring moments at which something begins or ends. Stretches of like length fold
 * together, from the longest on, while they are longer than all that is shorter taken together; a folded stretch is as
 * wide as its label and still linear inside.
 */

export interface Segment {
  from: number;
  to: number;
  /** Where it is drawn, as fractions of the width. */
  left: number;
  right: number;
  folded: boolean;
}

export interface Tick {
  at: number;
  x: number;
  label: string;
}

export interface Axis {
  from: number;
  to: number;
  segments: readonly Segment[];
  ticks: readonly Tick[];
  /** Where a moment is drawn, from 0 to 1; moments outside are at the nearer end. */
  x(at: number): number;
}

export interface AxisOptions {
  /** In pixels. */
  width: number;
  fold: boolean;
  /** The width of a folded stretch, in pixels. */
  band?: (millis: number) => number;
}

interface Stretch {
  from: number;
  to: number;
  folded: boolean;
}

const LEAST = 2_000;
const SHARE = 0.05;
/** What folded stretches may take of the width. */
const ROOM = 0.5;

/** Return the axis over moments, in any order; repeated, equal and unsorted ones are allowed. */
export function axis(moments: readonly number[], options: AxisOptions): Axis {
  const sorted = moments.filter(Number.isFinite).sort((a, b) => a - b).filter((at, i, all) => i === 0 || at !== all[i - 1]);
  const from = sorted[0] ?? 0;
  const to = Math.max(sorted.at(-1) ?? 0, from + 1);
  const band = options.band ?? (() => 72);
  const stretches: Stretch[] = [];
  for (let i = 0; i < Math.max(1, sorted.length - 1); i++) {
    stretches.push({ from: sorted[i] ?? from, to: sorted[i + 1] ?? to, folded: false });
  }
  if (options.fold) fold(stretches, options.width, band);
  const segments = place(merge(stretches), options.width, band);
  return { from, to, segments, ticks: ticks(segments, options.width), x: (at) => locate(segments, at) };
}

function fold(stretches: readonly Stretch[], width: number, band: (millis: number) => number): void {
  // Shorter ones are neither the longest nor like one that pays.
  const ordered = stretches.filter((each) => length(each) * 2 > LEAST).sort((a, b) => length(b) - length(a));
  let shown = stretches.reduce((sum, each) => sum + length(each), 0);
  let room = width * ROOM;
  for (let i = 0; i < ordered.length; ) {
    const longest = length(ordered[i]!);
    let end = i;
    let sum = 0;
    let wide = 0;
    while (end < ordered.length && length(ordered[end]!) * 2 >= longest && wide <= room) {
      sum += length(ordered[end]!);
      wide += band(length(ordered[end]!));
      end++;
    }
    const rest = shown - sum;
    const pays = longest > LEAST && longest > shown * SHARE && longest > rest && rest > 0;
    if (!pays || wide > room) return;
    for (const each of ordered.slice(i, end)) each.folded = true;
    shown = rest;
    room -= wide;
    i = end;
  }
}

/** Join neighbours that are drawn to one scale. */
function merge(stretches: readonly Stretch[]): Stretch[] {
  const merged: Stretch[] = [];
  for (const each of stretches) {
    const last = merged.at(-1);
    if (last && !last.folded && !each.folded) last.to = each.to;
    else merged.push({ ...each });
  }
  return merged;
}

function place(stretches: readonly Stretch[], width: number, band: (millis: number) => number): Segment[] {
  const folded = stretches.filter((each) => each.folded);
  const bands = folded.reduce((sum, each) => sum + band(length(each)), 0) / Math.max(1, width);
  const shown = stretches.reduce((sum, each) => sum + (each.folded ? 0 : length(each)), 0);
  // Each segment to scale gets a little for being there, so that a moment between two folds is not lost.
  const open = stretches.length - folded.length;
  const least = folded.length && open ? Math.min(0.04, (1 - bands) / open / 2) : 0;
  const scale = (1 - bands - least * open) / Math.max(1, shown);
  let left = 0;
  return stretches.map((each) => {
    const wide = each.folded ? band(length(each)) / Math.max(1, width) : least + length(each) * scale;
    const segment = { ...each, left, right: left + wide };
    left = segment.right;
    return segment;
  });
}

function locate(segments: readonly Segment[], at: number): number {
  let low = 0;
  let high = segments.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (segments[middle]!.to < at) low = middle + 1;
    else high = middle;
  }
  const segment = segments[low]!;
  const share = (at - segment.from) / Math.max(1e-9, segment.to - segment.from);
  return segment.left + Math.min(1, Math.max(0, share)) * (segment.right - segment.left);
}

const NICE = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
  900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000, 172_800_000, 604_800_000,
];
/** Between two ticks, in pixels. */
const APART = 56;

function ticks(segments: readonly Segment[], width: number): Tick[] {
  const found: Tick[] = [];
  for (const segment of segments) {
    if (segment.folded) continue;
    const pixels = (segment.right - segment.left) * width;
    const span = length(segment);
    const step = NICE.find((each) => (each / span) * pixels >= APART);
    if (step === undefined || pixels < APART) continue;
    for (let past = 0; past <= span; past += step) {
      const x = locate(segments, segment.from + past);
      if ((segment.right - x) * width < 24) break;
      found.push({ at: segment.from + past, x, label: label(past, step) });
    }
  }
  return found;
}

function label(past: number, step: number): string {
  if (step < 1_000) return past === 0 ? "0 ms" : String(past);
  if (step < 60_000) return past === 0 ? "0 s" : String(past / 1_000);
  if (step < 3_600_000) return past === 0 ? "0 min" : String(past / 60_000);
  if (step < 86_400_000) return past === 0 ? "0 h" : String(past / 3_600_000);
  return past === 0 ? "0 d" : String(past / 86_400_000);
}

function length(span: { from: number; to: number }): number {
  return span.to - span.from;
}
