/** What people change and decide about a held step: the form of a change, and who did what, when and why. */

import { useQuery } from "@tanstack/react-query";

import { part, post, version } from "../api/client";
import type { RunState, StepState } from "../api/models";
import { Time } from "../parts/basics";
import type { Act } from "../parts/dialog";
import { bodyOf, changeFaults, changeSchema, keptLines, linesOf, valuesNow, type Kept, type Line, type Values } from "../pure/change";
import { nodeOf, type Defined } from "../pure/definition";
import { useMe } from "../shell/session";

/** The act that changes a run for a held step; undefined for another one, and until its definition is known. */
export function useChange(run: RunState, step: StepState): Act | undefined {
  const isHeld = step.status === "held";
  const me = useMe();
  const found = useQuery({ ...version(run.workflow, run.fingerprint), enabled: isHeld });
  if (!isHeld || !found.data || !me.data) return undefined;
  const node = nodeOf(found.data.definition as Defined, step.name, step.owner);
  const before = valuesNow(run, step.name, node, run.changes as Kept[]);
  return {
    title: "Change the run",
    verb: "Change it",
    form: {
      schema: changeSchema(node?.kind ?? step.kind, me.data.may_see_payloads),
      initial: { ...before },
      faults: (value) => changeFaults(before, value as Values),
    },
    preview: (value) => <Preview lines={linesOf(before, value as Values)} />,
    run: (reason, value) => post(`runs/${part(run.id)}/change`, { reason, ...bodyOf(step.name, before, value as Values) }),
  };
}

function Preview({ lines }: { lines: readonly Line[] }) {
  return (
    <section aria-label="What changes" aria-live="polite">
      <h3 className="sec__h">What changes</h3>
      {lines.length === 0 ? <p className="hint">Nothing yet.</p> : <Lines lines={lines} />}
      <p className="hint">It holds for this run alone. Nothing goes on by it: the decision after it does.</p>
    </section>
  );
}

const SHOWN = 200;

function Lines({ lines }: { lines: readonly Line[] }) {
  const text = (value: unknown) => (typeof value === "string" ? value : (JSON.stringify(value) ?? "")).slice(0, SHOWN);
  return (
    <ul className="diff">
      {lines.map(({ what, from, to }) => (
        <li key={what} className={from === undefined ? "add" : to === undefined ? "del" : "mod"} title={what}>
          <span className="trace">
            {what} {[from, to].filter((value) => value !== undefined).map(text).join(" → ")}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** What people did about a step: changes of it and of its run, and decisions. */
export function Decided({ run, step }: { run: RunState; step: StepState }) {
  const wasHeld = step.status === "held" || step.reviews.length > 0;
  const changes = wasHeld ? run.changes.filter((each) => each.step === step.name || !each.step) : [];
  if (changes.length === 0 && step.reviews.length === 0) return null;
  const all = [
    ...changes.map((each) => ({ ...each, what: "changed", lines: keptLines(each.before, each.after) })),
    ...step.reviews.map((each) => ({ ...each, what: DECISIONS[each.decision] ?? each.decision, lines: [] })),
  ].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  return (
    <section className="sec">
      <h3 className="sec__h">
        What people did <span className="count">{all.length}</span>
      </h3>
      {all.map((each) => (
        <div key={each.id} className="stack">
          <p className="s2">
            <Time at={each.at} /> <b>{each.what}</b> {each.by && `by ${each.by}`} {each.reason && <span className="q2">{each.reason}</span>}
          </p>
          {each.lines.length > 0 && <Lines lines={each.lines} />}
        </div>
      ))}
    </section>
  );
}

const DECISIONS: Record<string, string> = {
  retry: "tried again",
  complete: "completed by hand",
  skip: "skipped",
  fail: "failed by hand",
  cancel: "cancelled",
};
