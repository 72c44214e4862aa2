/** Asks a run something that a function of its workflow answers, and shows the answer. */

import { useQuery } from "@tanstack/react-query";
import { useId, useRef, useState } from "react";

import { part, post, version } from "../api/client";
import type { Early, RunState } from "../api/models";
import { Failure, type Problem } from "../api/problem";
import { Icon, Skeleton } from "../parts/basics";
import { Dialog } from "../parts/dialog";
import { Fields, focusFault, isReadable } from "../parts/form";
import { Json } from "../parts/json";
import { faults, field, initial, type Schema } from "../pure/form";

/** How long the server waits for an answer before it says that there is none yet. */
const WAIT_SECONDS = 20;

export function AskRun({ run, onClose }: { run: RunState; onClose: () => void }) {
  const found = useQuery(version(run.workflow, run.fingerprint));
  const [name, setName] = useState(run.answers[0] ?? "");
  const id = useId();
  return (
    <Dialog title={`Ask ${run.id}`} onClose={onClose} wide>
      <p className="hint">A function of the workflow answers while the run goes on. What it puts into the context stays there.</p>
      {run.answers.length > 1 && (
        <div className="field">
          <label htmlFor={id}>What</label>
          <select id={id} className="input" value={name} onChange={(event) => setName(event.target.value)}>
            {run.answers.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </div>
      )}
      {found.isError && <Failure problem={found.error} onRetry={() => void found.refetch()} />}
      {found.isPending && <Skeleton rows={3} />}
      {found.data && <Inquiry key={name} run={run.id} name={name} schema={(found.data.inquiries[name] ?? {}) as Schema} />}
    </Dialog>
  );
}

function Inquiry({ run, name, schema }: { run: string; name: string; schema: Schema }) {
  const [made] = useState(() => field({ ...schema, title: schema.title ?? "Question" }, name, Object.keys(schema).length > 0));
  const [value, setValue] = useState<unknown>(() => initial(made));
  const [isTried, setTried] = useState(false);
  const [isSending, setSending] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const [answer, setAnswer] = useState<Early>();
  // What is asked again without a change is the same inquiry: its answer is waited for, and nothing is called twice.
  const asked = useRef({ data: "", id: "" });
  const wrong = faults(made, value);
  const send = async () => {
    setSending(true);
    setProblem(undefined);
    const data = JSON.stringify(value ?? null);
    if (asked.current.data !== data || answer?.status) asked.current = { data, id: crypto.randomUUID() };
    try {
      setAnswer(await post<Early>(`runs/${part(run)}/ask/${part(name)}`, { data: value ?? null, wait: WAIT_SECONDS, id: asked.current.id }));
    } catch (error) {
      setAnswer(undefined);
      setProblem(error as Problem);
    } finally {
      setSending(false);
    }
  };
  return (
    <form
      className="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (isSending || !isReadable(event.currentTarget)) return;
        if (Object.keys(wrong).length) focusFault(event.currentTarget);
        else void send();
      }}
    >
      <Fields made={made} value={value} onChange={setValue} faults={isTried ? wrong : {}} />
      {problem && <Failure problem={problem} />}
      <div aria-live="polite" className="stack">
        {answer && !isSending && <Answer name={name} answer={answer} />}
      </div>
      <div className="row right">
        <button type="submit" className="btn btn--main" disabled={isSending}>
          {isSending ? "Asked…" : answer && !answer.status ? "Wait for the answer" : `Ask ${name}`}
        </button>
      </div>
    </form>
  );
}

function Answer({ name, answer }: { name: string; answer: Early }) {
  if (answer.is_there) {
    return (
      <section>
        <h3 className="sec__h">Answer</h3>
        <Json value={answer.value} label={`answer of ${name}`} />
      </section>
    );
  }
  return <NoValue found={answer} pending="No answer yet. The function may still be called." />;
}

/** What stands in the place of a value: it is still to come, or never will. */
export function NoValue({ found, pending }: { found: Early; pending: string }) {
  if (!found.status) {
    return (
      <div className="why violet">
        <Icon name="s-waiting" />
        <p>
          <span className="why__word">Waiting</span> {pending}
        </p>
      </div>
    );
  }
  return (
    <div className="why red">
      <Icon name="s-failed" />
      <p>
        <span className="why__word">{found.status.replaceAll("_", " ")}</span> {found.failure ? <code>{found.failure.code}</code> : "without a value."}
        {found.failure && `: ${found.failure.message}`}
      </p>
    </div>
  );
}
