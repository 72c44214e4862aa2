/** Durations and moments as people read them: two units at most, the viewer's zone. */

const UNITS: readonly [number, string, number][] = [
  [86_400_000, "d", 3_600_000],
  [3_600_000, "h", 60_000],
  [60_000, "min", 1_000],
];

/** `88 ms`, `9.8 s`, `2 min 49 s`, `1 h 23 min`, `2 d 22 h`. */
export function duration(millis: number): string {
  const ms = Math.max(0, millis);
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${trim((ms / 1_000).toFixed(1))} s`;
  if (ms < 59_500) return `${Math.round(ms / 1_000)} s`;
  for (const [size, word, lesser] of UNITS) {
    const rounded = Math.round(ms / lesser) * lesser;
    if (rounded < size) continue;
    const whole = Math.floor(rounded / size);
    const rest = Math.round((rounded - whole * size) / lesser);
    return rest ? `${whole} ${word} ${pad(rest, lesser)} ${lesserWord(lesser)}` : `${whole} ${word}`;
  }
  return `${Math.round(ms / 1_000)} s`;
}

function trim(text: string): string {
  return text.endsWith(".0") ? text.slice(0, -2) : text;
}

function pad(value: number, unit: number): string {
  return unit < 3_600_000 ? String(value).padStart(2, "0") : String(value);
}

function lesserWord(unit: number): string {
  return unit === 3_600_000 ? "h" : unit === 60_000 ? "min" : "s";
}

const two = (value: number) => String(value).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** The time of day for a moment of today, else `20 Nov 13:41`, with the year if that is another. */
export function moment(at: number, now: number): string {
  const then = new Date(at);
  const today = new Date(now);
  const time = `${two(then.getHours())}:${two(then.getMinutes())}`;
  if (then.toDateString() === today.toDateString()) return `${time}:${two(then.getSeconds())}`;
  const date = `${then.getDate()} ${MONTHS[then.getMonth()]}`;
  return then.getFullYear() === today.getFullYear() ? `${date} ${time}` : `${date} ${then.getFullYear()} ${time}`;
}

/** `17 min ago`, `in 2 h`; `now` within a second. */
export function relative(at: number, now: number): string {
  const gap = at - now;
  if (Math.abs(gap) < 1_000) return "now";
  return gap > 0 ? `in ${duration(gap)}` : `${duration(-gap)} ago`;
}

/** The time of day with milliseconds, as logs show it. */
export function precise(at: number): string {
  const then = new Date(at);
  const time = `${two(then.getHours())}:${two(then.getMinutes())}:${two(then.getSeconds())}`;
  return `${time}.${String(then.getMilliseconds()).padStart(3, "0")}`;
}

/** The name of the viewer's zone, as its city. */
export function zone(): string {
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return name.split("/").at(-1)!.replaceAll("_", " ");
}

/** A moment of the API in milliseconds, or undefined. */
export function millis(text: string | null | undefined): number | undefined {
  return text ? Date.parse(text) : undefined;
}

/** A count with a plus where it stopped early. */
export function counted(found: number, isExact: boolean): string {
  return `${found.toLocaleString("en")}${isExact ? "" : "+"}`;
}
