/** What people change and decide: the form of a change to a held run, and who did what, when and why. */

import { useQuery } from "@tanstack/react-query";

import { part, post, version } from "../api/client";
import type { RunState, StepState } from "../api/models";
import { Time } from "../parts/basics";
import type { Act } from "../parts/dialog";
import { bodyOf, changeFaults, changeSchema, linesOf, valuesNow, type Kept, type Line, type Values } from "../pure/change";
import { deeds, type Deed, type RunDeeds } from "../pure/deeds";
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

/** What people did, oldest first; nothing where nobody did anything. */
export function Deeds({ all, label }: { all: readonly Deed[]; label: string }) {
  if (all.length === 0) return null;
  return (
    <section className="sec" aria-label={label}>
      <h3 className="sec__h">
        What people did <span className="count">{all.length}</span>
      </h3>
      {all.map((each) => (
        <div key={each.id} className="stack">
          <p className="s2">
            <Time at={each.at} /> <b>{each.what}</b> {each.by && `by ${each.by}`} <span className="q2">{each.reason}</span>
          </p>
          {each.lines.length > 0 && <Lines lines={each.lines} />}
        </div>
      ))}
    </section>
  );
}

/** What people did about a run and all its steps: the latest in a line, all of it when opened. */
export function People({ run }: { run: RunState }) {
  const all = deeds(run as RunDeeds);
  const last = all.at(-1);
  if (!last) return null;
  return (
    <details className="people">
      <summary className="s2">
        <span className="med">What people did</span> <span className="count">{all.length}</span> <Time at={last.at} />{" "}
        {last.step && <code>{last.step}</code>} {last.what} {last.by && `by ${last.by}`} <span className="q2">{last.reason}</span>
      </summary>
      <ul className="log">
        {[...all].reverse().map((each) => (
          <li key={each.id}>
            <Time at={each.at} /> {each.step && <code>{each.step}</code>} <b>{each.what}</b> {each.by && `by ${each.by}`}{" "}
            <span className="q2">{each.reason}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}
