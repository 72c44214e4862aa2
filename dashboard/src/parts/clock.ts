/** One clock for everything that ticks, at 1 Hz; it stops while the tab is hidden. */

import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  now = Date.now();
  for (const each of listeners) each();
}

function run(): void {
  const wanted = listeners.size > 0 && document.visibilityState === "visible";
  if (wanted && timer === undefined) {
    tick();
    timer = setInterval(tick, 1_000);
  } else if (!wanted && timer !== undefined) {
    clearInterval(timer);
    timer = undefined;
  }
}

document.addEventListener("visibilitychange", run);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (listeners.size === 1) run();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) run();
  };
}

/** The current time in milliseconds, new each second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}
