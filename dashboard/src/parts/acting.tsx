/** Acts of a screen: one dialog at a time, after which what is shown is asked for again. */

import { useQueryClient, type QueryKey } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { ActDialog, type Act } from "./dialog";

/** What is asked stands on the log before it is applied, and no stream tells of all that changes: it is looked at again. */
const AGAIN_MS = [1_000, 5_000];

/** Return what opens the dialog of an act, and the place of the dialog in the screen. */
export function useActs(...refreshed: QueryKey[]): [(act: Act) => void, ReactNode] {
  const queries = useQueryClient();
  const [act, setAct] = useState<Act>();
  const dialog = act && (
    <ActDialog
      key={act.title}
      act={act}
      onClose={() => setAct(undefined)}
      onDone={() => {
        setAct(undefined);
        const refresh = () => refreshed.forEach((queryKey) => void queries.invalidateQueries({ queryKey }));
        refresh();
        AGAIN_MS.forEach((ms) => setTimeout(refresh, ms));
      }}
    />
  );
  return [setAct, dialog];
}
