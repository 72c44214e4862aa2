/** Acts on many runs: those selected, or all that match, with a preview and an operation that can be stopped. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { filterOf, get, part, post, remove, statuses } from "../api/client";
import type { OperationState, RunEntry, RunStatuses } from "../api/models";
import { useActs } from "../parts/acting";
import { Icon, Seg } from "../parts/basics";
import type { Act } from "../parts/dialog";
import type { RunsSearch } from "../pure/filters";
import type { Schema } from "../pure/form";
import { REVIEWABLE } from "../pure/look";
import { CONTEXT, UNDO, WHOLE } from "../pure/orders";
import { reach, VERBS, type Verb } from "../pure/reach";
import { counted } from "../pure/time";
import { useMay } from "../shell/session";
import { stepsOfMany } from "./steps_of_many";

interface Props {
  search: RunsSearch;
  marked: readonly RunEntry[];
  counts: RunStatuses | undefined;
  matching: number | undefined;
  onClear: () => void;
}

export function Bulk(props: Props) {
  const { search, marked, counts, matching } = props;
  const [isAll, setAll] = useState(false);
  const mayAct = useMay();
  const [ask, dialog] = useActs(["runs"]);
  const [operation, setOperation] = useState<string>();
  const queries = useQueryClient();
  const all = isAll || marked.length === 0;
  const matched = counted(matching ?? 0, counts?.is_exact ?? true);
  const begin = async (order: object) => {
    const started = await post<OperationState>("operations", order);
    setOperation(started.id);
  };
  const each = async (verb: Verb, reason: string, more: object) => {
    for (const run of marked) if (verb !== "review" || mayBeReviewed(run)) await post(`runs/${part(run.id)}/${verb}`, { reason, ...more });
    props.onClear();
  };
  const act = (verb: Verb, word: string, asked?: RunStatuses): Act => {
    const found = all ? reach(verb, counts?.counts ?? {}, search.status) : reach(verb, byStatus(marked), ["", ...marked.map((run) => run.status)]);
    const reached = verb === "review" ? (all ? reach(verb, asked?.counts ?? {}, search.status).reached : marked.filter(mayBeReviewed).length) : found.reached;
    const left = found.reached + found.left - reached;
    const runs = counted(reached, !all || (counts?.is_exact ?? true));
    return {
      title: all ? `${word} all ${matched} matching` : `${word} ${marked.length} selected`,
      verb: `${word} ${runs} ${reached === 1 ? "run" : "runs"}`,
      isRisky: verb === "cancel",
      confirm: reached,
      preview: (
        <dl className="kv kv--sums">
          <dt>{WILL[verb]}</dt>
          <dd className="num str">{runs}</dd>
          <dt className="q3">{LEFT[verb] ?? "not in a state for it: left alone"}</dt>
          <dd className="num q3">{left.toLocaleString("en")}</dd>
        </dl>
      ),
      form: MORE[verb] && { schema: MORE[verb] },
      run: (reason, value) => {
        const more = MORE[verb] ? (value as object) : {};
        return all ? begin({ act: verb, filter: filterOf(search), reason, ...more }) : each(verb, reason, more);
      },
    };
  };
  // How many of them nobody has reviewed yet is counted when it is asked for.
  const open = async (verb: Verb, word: string) => {
    ask(act(verb, word, verb === "review" && all ? await queries.fetchQuery(statuses({ ...search, reviewed: false })) : undefined));
  };
  const askSteps = () =>
    ask(
      stepsOfMany({
        title: all ? `A step of all ${matched} matching` : `A step of ${marked.length} selected`,
        filter: all ? filterOf(search) : undefined,
        selected: marked.map((run) => run.id),
        matching,
        begin,
      }),
    );
  if (!mayAct) return null;
  const verbs = VERBS.filter(([verb]) => verb !== "review" || !search.reviewed);
  return (
    <>
    {dialog}
    <div className="bulk" role="region" aria-label="Acts on runs">
      {marked.length > 0 ? (
        <Seg
          label="Which runs"
          value={all ? "all" : "some"}
          options={[
            ["some", `${marked.length} selected`],
            ["all", `All ${matched} matching`],
          ]}
          onChange={(value) => setAll(value === "all")}
        />
      ) : (
        <span className="med">All {matched} matching</span>
      )}
      {operation && <Progress id={operation} onOver={() => setOperation(undefined)} />}
      <div className="right row">
        {verbs.map(([verb, word]) => (
          <button key={verb} type="button" className="btn" onClick={() => void open(verb, word)}>
            {word}…
          </button>
        ))}
        <button type="button" className="btn" onClick={askSteps}>
          Steps…
        </button>
        {marked.length > 0 && (
          <button type="button" className="btn btn--icon" aria-label="Select nothing" onClick={props.onClear}>
            <Icon name="x" />
          </button>
        )}
      </div>
    </div>
    </>
  );
}

/** What may be chosen beside the reason. */
const MORE: Partial<Record<Verb, Schema>> = {
  cancel: UNDO,
  retry: WHOLE,
  resume: CONTEXT,
};

const WILL: Record<Verb, string> = {
  retry: "will be retried",
  pause: "will be paused",
  resume: "will be resumed",
  cancel: "will be cancelled",
  review: "will be marked as reviewed",
};
const LEFT: Partial<Record<Verb, string>> = {
  retry: "did not fail, or cannot be retried: left alone",
  review: "did not fail, or reviewed before: left alone",
};

function mayBeReviewed(run: RunEntry): boolean {
  return REVIEWABLE.includes(run.status) && run.word === "Needs review";
}

function byStatus(runs: readonly RunEntry[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const run of runs) found[run.status] = (found[run.status] ?? 0) + 1;
  return found;
}

function Progress({ id, onOver }: { id: string; onOver: () => void }) {
  const queries = useQueryClient();
  const operation = useQuery({
    queryKey: ["operations", id],
    queryFn: ({ signal }) => get<OperationState>(`operations/${part(id)}`, {}, signal),
    refetchInterval: (query) => (query.state.data && query.state.data.status !== "running" ? false : 1_000),
  });
  const state = operation.data;
  if (!state) return null;
  const close = () => {
    onOver();
    void queries.invalidateQueries({ queryKey: ["runs"] });
  };
  return (
    <span className="row s2" role="status">
      <Link to="/operations" className="link">
        {state.told.toLocaleString("en")} of {counted(state.found, state.is_exact)} asked
      </Link>
      {state.status === "running" ? "" : state.status}
      {state.error && `: ${state.error}`}
      {state.status === "running" ? (
        <button type="button" className="btn" onClick={() => void remove(`operations/${part(id)}`)}>
          Stop
        </button>
      ) : (
        <button type="button" className="btn" onClick={close}>
          Close
        </button>
      )}
    </span>
  );
}
