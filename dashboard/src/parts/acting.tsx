/** Acts of a screen: one dialog at a time, after which what is shown is asked for again. */

import { useQueryClient, type QueryKey } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { ActDialog, type Act } from "./dialog";

/** Return what opens the dialog of an act, and the place of the dialog in the screen. */
export function useActs(refreshed: QueryKey): [(act: Act) => void, ReactNode] {
  const queries = useQueryClient();
  const [act, setAct] = useState<Act>();
  const dialog = act && (
    <ActDialog
      key={act.title}
      act={act}
      onClose={() => setAct(undefined)}
      onDone={() => {
        setAct(undefined);
        void queries.invalidateQueries({ queryKey: refreshed });
      }}
    />
  );
  return [setAct, dialog];
}
