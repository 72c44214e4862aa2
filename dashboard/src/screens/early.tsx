/** What a run has before it ends: the outputs of its steps so far, and the value at a path as soon as there is one. */

import { useMemo, useState } from "react";

import { get, part } from "../api/client";
import type { Early, RunState } from "../api/models";
import { Failure, type Problem } from "../api/problem";
import { Json } from "../parts/json";
import { isSettled } from "../pure/look";
import { NoValue } from "./asking";

/** How long the server waits for a value before it says that there is none yet. */
const WAIT_SECONDS = 20;

/** The outputs of steps while the run goes on; nothing where none has one, or the run has ended. */
export function OutputsSoFar({ run }: { run: RunState }) {
  const outputs = useMemo(() => {
    const found = run.steps.filter((step) => step.status === "completed" && step.output !== null && step.output !== undefined);
    return Object.fromEntries(found.map((step) => [step.name, step.output]));
  }, [run.steps]);
  if (isSettled(run.status) || Object.keys(outputs).length === 0) return null;
  return (
    <section>
      <h2 className="sec__h">
        Outputs so far <span className="count">{Object.keys(outputs).length}</span>
      </h2>
      <Json value={outputs} label="outputs so far" />
    </section>
  );
}

export function ReadValue({ run }: { run: RunState }) {
  const [path, setPath] = useState("");
  const [found, setFound] = useState<{ path: string; value: Early }>();
  const [problem, setProblem] = useState<Problem>();
  const [isAsking, setAsking] = useState(false);
  const read = async (wait: number) => {
    setAsking(true);
    setProblem(undefined);
    try {
      setFound({ path, value: await get<Early>(`runs/${part(run.id)}/value`, { path, wait: wait || undefined }) });
    } catch (error) {
      setFound(undefined);
      setProblem(error as Problem);
    } finally {
      setAsking(false);
    }
  };
  const isComing = found?.path === path && !found.value.status;
  return (
    <section>
      <h2 className="sec__h">Value at a path</h2>
      <form
        className="stack read"
        onSubmit={(event) => {
          event.preventDefault();
          if (path && !isAsking) void read(isComing ? WAIT_SECONDS : 0);
        }}
      >
        <label className="field">
          <span className="lbl">Path</span>
          <input className="input mono" value={path} onChange={(event) => setPath(event.target.value)} />
          <span className="hint">
            Such as <code>charge.amount</code>, <code>context.total</code> or <code>input.id</code>; it need not be there yet.
          </span>
        </label>
        <div className="row">
          <button type="submit" className="btn" disabled={!path || isAsking}>
            {isAsking ? "Asked…" : isComing ? "Wait for it" : "Read it"}
          </button>
        </div>
        {problem && <Failure problem={problem} />}
        <div aria-live="polite">
          {found &&
            !isAsking &&
            (found.value.is_there ? (
              <Json value={found.value.value} label={`value at ${found.path}`} />
            ) : (
              <NoValue found={found.value} pending={`Nothing is at ${found.path} yet.`} />
            ))}
        </div>
      </form>
    </section>
  );
}
