/** A step of many runs: skipped, completed, failed, cancelled or retried, after a look at how many runs have it so. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { part, post } from "../api/client";
import type { RunCount } from "../api/models";
import type { Act } from "../parts/dialog";
import type { Schema } from "../pure/form";
import { needsStep, stepOrder, type StepDeed } from "../pure/reach";
import { counted } from "../pure/time";

/** How long somebody has stopped typing before the runs are counted. */
const SETTLED_MS = 400;

const FORM: Schema = {
  type: "object",
  required: ["act"],
  properties: {
    act: { title: "What", enum: ["skip", "complete", "fail", "cancel", "retry"] },
    step: { type: "string", title: "Step", description: "With skip and fail, left empty: every held step, and with skip every failed compensation." },
    output: { title: "Output", description: "With complete: as JSON." },
    error: { type: "string", title: "Error", description: "With fail: in place of the failure that the step is held for." },
  },
};

interface Many {
  title: string;
  /** The filter; undefined: the selected runs. */
  filter?: object;
  selected: readonly string[];
  matching?: number;
  begin: (order: object) => Promise<unknown>;
}

/** Return the act on a step of all runs of a filter, or of those selected. */
export function stepsOfMany(many: Many): Act {
  const { filter, selected } = many;
  return {
    title: many.title,
    verb: "Ask them",
    isRisky: true,
    confirm: filter ? many.matching : selected.length,
    form: {
      schema: FORM,
      initial: { act: "skip" },
      faults: (value): Record<string, string> => {
        const deed = value as StepDeed;
        return needsStep(deed, !filter) && !deed.step ? { step: "A step is needed: its name." } : {};
      },
    },
    preview: (value) => (filter ? <Reached filter={filter} deed={value as StepDeed} /> : <p className="hint">Each is asked; those without such a step refuse.</p>),
    run: (reason, value) => (filter ? many.begin({ ...stepOrder(value as StepDeed), filter, reason }) : each(selected, value as StepDeed, reason)),
  };
}

/** Ask each selected run; the first refusal is raised once all are asked. */
async function each(runs: readonly string[], deed: StepDeed, reason: string): Promise<void> {
  const { act, step, ...more } = stepOrder(deed);
  const refusals: unknown[] = [];
  for (const run of runs) {
    const at = `runs/${part(run)}`;
    try {
      await (act === "retry" ? post(`${at}/retry`, { reason, step }) : post(`${at}/steps/${part(step!)}/${act}`, { reason, ...more }));
    } catch (error) {
      refusals.push(error);
    }
  }
  if (refusals.length) throw refusals[0];
}

/** How many runs the act would reach now. */
function Reached({ filter, deed }: { filter: object; deed: StepDeed }) {
  const order = useSettled(JSON.stringify({ ...stepOrder(deed), filter, dry_run: true }));
  const found = useQuery({
    queryKey: ["operations", "preview", order],
    queryFn: () => post<RunCount>("operations", JSON.parse(order)),
    enabled: !(needsStep(deed, false) && !deed.step),
    retry: false,
  });
  if (found.isError) return <p className="hint">{found.error.message}</p>;
  if (!found.data) return <p className="hint">The runs with such a step are counted.</p>;
  return (
    <dl className="kv kv--sums">
      <dt>will be asked</dt>
      <dd className="num str">{counted(found.data.found, found.data.is_exact)}</dd>
      {!found.data.is_exact && <dt className="q3">among the first 500 that match</dt>}
    </dl>
  );
}

/** Return a text once it has not changed for a moment. */
function useSettled(text: string): string {
  const [settled, settle] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => settle(text), SETTLED_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
