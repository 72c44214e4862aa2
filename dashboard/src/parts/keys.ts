/** Keys of a screen, for as long as it stands. */

import { useEffect, useRef } from "react";

import { isTyping, reader, type Bindings } from "../pure/keys";

const read = reader();
const active: { current: Bindings }[] = [];
const OFF = "stream_durable.keys_off";

export function areKeysOff(): boolean {
  return localStorage.getItem(OFF) === "yes";
}

export function setKeysOff(off: boolean): void {
  localStorage.setItem(OFF, off ? "yes" : "no");
}

function onPress(event: KeyboardEvent): void {
  const names = [...new Set(active.flatMap((each) => Object.keys(each.current)))];
  const isFree = !isTyping(event.target) && !document.querySelector("dialog[open]") && !areKeysOff();
  const usable = isFree ? names : names.filter((name) => name.startsWith("Ctrl "));
  const name = read(event, usable, event.timeStamp);
  if (name === undefined) return;
  for (const each of active.toReversed()) {
    const run = each.current[name];
    if (!run) continue;
    event.preventDefault();
    run();
    return;
  }
}

/** Bind keys while the caller is shown; what is mounted later comes first. */
export function useKeys(bindings: Bindings): void {
  const ref = useRef(bindings);
  ref.current = bindings;
  useEffect(() => {
    if (active.length === 0) document.addEventListener("keydown", onPress);
    active.push(ref);
    return () => {
      active.splice(active.indexOf(ref), 1);
      if (active.length === 0) document.removeEventListener("keydown", onPress);
    };
  }, []);
}
