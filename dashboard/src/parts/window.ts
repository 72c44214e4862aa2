/** Whether the window is as narrow as a phone's, as it is turned and resized. */

import { useSyncExternalStore } from "react";

const narrow = window.matchMedia("(max-width: 767.98px)");

function subscribe(listener: () => void): () => void {
  narrow.addEventListener("change", listener);
  return () => narrow.removeEventListener("change", listener);
}

export function useIsNarrow(): boolean {
  return useSyncExternalStore(subscribe, () => narrow.matches);
}
