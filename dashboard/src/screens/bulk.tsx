/** Acts on many runs: those selected, or all that match, with a preview and an operation that can be stopped. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { filterOf, get, part, post, remove } from "../api/client";
import type { OperationState } from "../api/models";
import { Icon, Seg } from "../parts/basics";
import { ActDialog, type Act } from "../parts/dialog";
import type { RunsSearch } from "../pure/filters";

type Verb = "cancel" | "pause" | "resume" | "retry";
const VERBS: readonly [Verb, string][] = [
  ["retry", "Retry"],
  ["pause", "Pause"],
  ["resume", "Resume"],
  ["cancel", "Cancel"],
];

export function Bulk(props: {
  search: RunsSearch;
  marked: ReadonlySet<string>;
  matching: number | undefined;
  onClear: () => void;
}) {
  const { search, marked, matching } = props;
  const queries = useQueryClient();
  const [isAll, setAll] = useState(false);
  const [verb, setVerb] = useState<Verb>();
  const [operation, setOperation] = useState<string>();
  const all = isAll || marked.size === 0;
  const count = all ? matching : marked.size;
  const run = async (reason: string) => {
    if (!verb) return;
    if (all) {
      const started = await post<OperationState>("operations", { act: verb, filter: filterOf(search), reason });
      setOperation(started.id);
      return;
    }
    for (const id of marked) await post(`runs/${part(id)}/${verb}`, { reason });
  };
  const word = verb ? VERBS.find(([each]) => each === verb)![1] : "";
  const act: Act = {
    title: all ? `${word} all ${count?.toLocaleString("en") ?? ""} matching` : `${word} ${marked.size} runs`,
    verb: `${word} ${count?.toLocaleString("en") ?? ""} runs`,
    isRisky: verb === "cancel",
    confirm: count,
    preview: <p className="hint">Runs to which this does not apply any more are left alone.</p>,
    run,
  };
  return (
    <div className="bulk" role="region" aria-label="Acts on runs">
      {marked.size > 0 ? (
        <Seg
          label="Which runs"
          value={all ? "all" : "some"}
          options={[
            ["some", `${marked.size} selected`],
            ["all", `All ${matching?.toLocaleString("en") ?? ""} matching`],
          ]}
          onChange={(value) => setAll(value === "all")}
        />
      ) : (
        <span className="med">All {matching?.toLocaleString("en") ?? ""} matching</span>
      )}
      {operation && <Progress id={operation} onOver={() => setOperation(undefined)} />}
      <div className="right row">
        {VERBS.map(([each, text]) => (
          <button key={each} type="button" className="btn" onClick={() => setVerb(each)}>
            {text}…
          </button>
        ))}
        {marked.size > 0 && (
          <button type="button" className="btn btn--icon" aria-label="Select nothing" onClick={props.onClear}>
            <Icon name="x" />
          </button>
        )}
      </div>
      {verb && (
        <ActDialog
          act={act}
          onClose={() => setVerb(undefined)}
          onDone={() => {
            setVerb(undefined);
            props.onClear();
            void queries.invalidateQueries({ queryKey: ["runs"] });
          }}
        />
      )}
    </div>
  );
}

function Progress({ id, onOver }: { id: string; onOver: () => void }) {
  const operation = useQuery({
    queryKey: ["operation", id],
    queryFn: ({ signal }) => get<OperationState>(`operations/${part(id)}`, {}, signal),
    refetchInterval: (query) => (query.state.data && query.state.data.status !== "running" ? false : 1_000),
  });
  const state = operation.data;
  if (!state) return null;
  return (
    <span className="row s2" role="status">
      {state.told.toLocaleString("en")} of {state.found.toLocaleString("en")}
      {state.is_exact ? "" : "+"} told{state.status === "running" ? "" : `, ${state.status}`}
      {state.error && `: ${state.error}`}
      {state.status !== "running" ? (
        <button type="button" className="btn" onClick={onOver}>
          Close
        </button>
      ) : (
        <button type="button" className="btn" onClick={() => void remove(`operations/${part(id)}`)}>
          Stop
        </button>
      )}
    </span>
  );
}
