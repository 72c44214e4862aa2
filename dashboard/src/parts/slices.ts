/** Work on many rows, in slices: the page is drawn and heeds its keys in between. */

import { useEffect, useState } from "react";

const SLICE_MS = 8;
/** So many rows are looked at between two looks at the clock. */
const ROWS = 200;

/** Return the rows that have a text, and whether they are still looked for: meanwhile they are those found before. */
export function useFound<T>(all: readonly T[], wanted: string, has: (row: T, wanted: string) => boolean): [readonly T[], boolean] {
  const [last, setLast] = useState({ all, wanted: "", found: all });
  useEffect(() => {
    const found: T[] = [];
    let at = 0;
    const look = () => {
      const until = performance.now() + SLICE_MS;
      while (at < all.length && performance.now() < until) {
        for (const end = Math.min(all.length, at + ROWS); at < end; at++) if (has(all[at]!, wanted)) found.push(all[at]!);
      }
      if (at < all.length) timer = setTimeout(look);
      else setLast({ all, wanted, found });
    };
    if (wanted === "") {
      setLast((before) => (before.wanted === "" ? before : { all, wanted, found: all }));
      return;
    }
    let timer = setTimeout(look);
    return () => clearTimeout(timer);
    // Another function for the same question is no other question.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [all, wanted]);
  if (wanted === "") return [all, false];
  return [last.wanted === "" ? all : last.found, last.all !== all || last.wanted !== wanted];
}
