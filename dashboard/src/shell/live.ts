/** Whether the server answers, as of the latest requests. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { Problem } from "../api/problem";

/** Return whether the latest request that ended did not reach the server. */
export function useIsLost(): boolean {
  const queries = useQueryClient();
  const [isLost, setLost] = useState(false);
  useEffect(
    () =>
      queries.getQueryCache().subscribe((event) => {
        if (event.type !== "updated") return;
        if (event.action.type === "success") setLost(false);
        if (event.action.type === "failed") setLost(!(event.action.error instanceof Problem));
      }),
    [queries],
  );
  return isLost;
}
