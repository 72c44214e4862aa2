/** A step beside the timeline: why it is not moving, its attempts, error, logs and values. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { attempts, part, post, why } from "../api/client";
import type { AttemptState, Failure as StepFailure, RunState, StepState } from "../api/models";
import { ClosePanel, Copy, Icon, Seg, Sentence, State, Status, Tag, Time, Took } from "../parts/basics";
import type { Act } from "../parts/dialog";
import { Json } from "../parts/json";
import { deeds, deedsOf, type RunDeeds } from "../pure/deeds";
import { isSettled, look } from "../pure/look";
import { precise } from "../pure/time";
import { useMay } from "../shell/session";
import { Deeds, useChange } from "./review";
import { Kept } from "./run";
import { publish } from "./sending";

interface Props {
  run: RunState;
  step: StepState;
  attempt?: number;
  onAttempt: (attempt: number) => void;
  onMove: (by: number) => void;
  onClose: () => void;
  onAct: (act: Act) => void;
}

export function StepPanel({ run, step, attempt, onAttempt, onMove, onClose, onAct }: Props) {
  const tries = useQuery(attempts(run.id));
  const own = (tries.data?.attempts ?? []).filter((each) => each.step === step.name);
  const chosen = own.find((each) => each.attempt === attempt) ?? own.at(-1);
  const isOver = isSettled(step.status);
  const failure = chosen?.failure ?? step.failure;
  return (
    <>
      <div className="aside__head">
        <div className="row">
          <h2 className="mono cut" title={step.name}>
            {step.name}
          </h2>
          <State status={step.status} />
          <div className="right row">
            <button type="button" className="btn btn--quiet btn--icon" aria-label="Step before" title="k" onClick={() => onMove(-1)}>
              <Icon name="up" />
            </button>
            <button type="button" className="btn btn--quiet btn--icon" aria-label="Next step" title="j" onClick={() => onMove(1)}>
              <Icon name="down" />
            </button>
            <ClosePanel onClick={onClose} />
          </div>
        </div>
        <StepFacts step={step} />
      </div>
      <div className="aside__body" tabIndex={0} role="region" aria-label={`Details of ${step.name}`}>
        <Deeds all={deedsOf(step.name, deeds(run as RunDeeds))} label={`What people did about ${step.name}`} />
        {failure && <Error failure={failure} attempt={chosen} />}
        {step.status === "held" && <Acts run={run} step={step} onAct={onAct} />}
        {!isOver && <WhyNot run={run} step={step} />}
        {step.status !== "held" && <Acts run={run} step={step} onAct={onAct} />}
        {own.length > 0 && <Attempts own={own} chosen={chosen} onAttempt={onAttempt} />}
        {own.some((each) => each.logs.length > 0) && <StepLogs own={own} chosen={chosen} />}
        {step.asked && <Asked run={run} step={step} />}
        {step.output !== null && step.output !== undefined && (
          <section className="sec">
            <h3 className="sec__h">Output</h3>
            <Json value={step.output} label={`output of ${step.name}`} />
          </section>
        )}
        {step.members.length > 0 && (
          <section className="sec">
            <h3 className="sec__h">
              Members <span className="count">{step.members.length}</span>
            </h3>
            <p className="names">
              {step.members.slice(0, 40).map((name) => (
                <Tag key={name}>
                  <span className="mono">{name}</span>
                </Tag>
              ))}
              {step.members.length > 40 && <span className="q3">and {step.members.length - 40} more</span>}
            </p>
          </section>
        )}
      </div>
    </>
  );
}

function StepFacts({ step }: { step: StepState }) {
  return (
    <dl className="facts">
      {step.kind && (
        <div>
          <dt>Kind</dt>
          <dd>{step.kind}</dd>
        </div>
      )}
      {step.started && (
        <div>
          <dt>Started</dt>
          <dd>
            <Time at={step.started} />
          </dd>
        </div>
      )}
      {step.started && (
        <div>
          <dt>{step.finished ? "Took" : "For"}</dt>
          <dd>
            <Took from={step.started} to={step.finished} />
          </dd>
        </div>
      )}
      {step.worker && (
        <div>
          <dt>Worker</dt>
          <dd className="mono">{step.worker}</dd>
        </div>
      )}
      {step.percent !== null && step.percent !== undefined && (
        <div>
          <dt>Progress</dt>
          <dd>
            {Math.round(step.percent)} % {step.label}
          </dd>
        </div>
      )}
      {step.child && (
        <div>
          <dt>Child</dt>
          <dd>
            <Link className="link mono" to="/runs/$id" params={{ id: step.child }}>
              {step.child}
            </Link>
          </dd>
        </div>
      )}
    </dl>
  );
}

function Error({ failure, attempt }: { failure: StepFailure; attempt?: AttemptState }) {
  const [isWhole, setWhole] = useState(false);
  const trace = failure.trace ?? "";
  const lines = trace.split("\n");
  const shown = isWhole ? trace : lines.slice(-8).join("\n");
  return (
    <section className="sec red" aria-label="Error">
      {attempt && <p className="s2 q3">Attempt {attempt.attempt}</p>}
      <p>
        <code className="fg">{failure.code}</code> <b>{failure.message}</b>
      </p>
      {trace && (
        <pre className="code trace" tabIndex={0} aria-label="Traceback">
          {shown}
        </pre>
      )}
      <div className="row">
        {lines.length > 8 && !isWhole && (
          <button type="button" className="link" onClick={() => setWhole(true)}>
            Show all frames
          </button>
        )}
        <Copy text={`${failure.code}: ${failure.message}\n${trace}`} label="Copy error">
          Copy error
        </Copy>
      </div>
      {failure.details !== undefined && failure.details !== null && <Json value={failure.details} label="details of the error" />}
    </section>
  );
}

function WhyNot({ run, step }: { run: RunState; step: StepState }) {
  const explained = useQuery(why(run.id, step.name));
  const found = explained.data;
  if (!found) return null;
  const { icon, hue } = look(step.status, found.word);
  return (
    <section className="sec">
      <h3 className="sec__h">Why it is not moving</h3>
      <p className="checks__all">
        <Sentence text={found.sentence} />
      </p>
      <dl className="checks">
        {found.checks.map((each) => (
          <div key={each.name} className={each.state === "holds" ? `is ${hue}` : undefined}>
            <Icon name={each.state === "holds" ? icon : each.state === "passed" ? "check" : "minus"} />
            <dt>{each.name}</dt>
            <dd>
              <Sentence text={each.text} />
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** What may be asked of a step as it stands; a held step takes a decision, a failed one of a run that has ended a retry. */
function Acts({ run, step, onAct }: { run: RunState; step: StepState; onAct: (act: Act) => void }) {
  const command = `stream-durable why ${run.id} ${step.name}`;
  const mayAct = useMay();
  const change = useChange(run, step);
  const found = mayAct ? stepActs(run, step) : [];
  if (mayAct && change) found.splice(1, 0, change);
  if (found.length === 0) return null;
  return (
    <section className="sec">
      <div className="sec__acts">
        {found.map((act, i) => (
          <button key={act.title} type="button" className={`btn ${i === 0 && !act.isRisky ? "btn--main" : act.isRisky ? "btn--risk" : ""}`} onClick={() => onAct(act)}>
            {act.verb.startsWith("Retry") && <Icon name="retry" />} {act.title}…
          </button>
        ))}
        <span className="right">
          <Copy text={command} label={`Copy ${command}`}>
            Copy as command
          </Copy>
        </span>
      </div>
    </section>
  );
}

function stepActs(run: RunState, step: StepState): Act[] {
  const name = step.name;
  const at = `runs/${part(run.id)}`;
  const own = `${at}/steps/${part(name)}`;
  const retry: Act = {
    title: `Retry from ${name}`,
    verb: `Retry from ${name}`,
    preview: <Kept run={run} />,
    run: (reason) => post(`${at}/retry`, { reason, step: name }),
  };
  const accept: Act = {
    title: `Accept that ${name} failed`,
    verb: `Accept that ${name} failed`,
    short: "Accept it",
    preview: <p className="hint">It counts as done, and the run goes on to undo the rest.</p>,
    run: (reason) => post(`${own}/skip`, { reason }),
  };
  if (isSettled(run.status)) {
    if (step.status !== "failed") return [];
    return run.status === "compensation_failed" && step.kind === "compensate" ? [retry, accept] : [retry];
  }
  const skip: Act = {
    title: `Skip ${name}`,
    verb: `Skip ${name}`,
    preview: <p className="hint">Steps after it go on without its output.</p>,
    run: (reason) => post(`${own}/skip`, { reason }),
  };
  const complete: Act = {
    title: "Complete by hand",
    verb: `Complete ${name}`,
    asksReason: false,
    preview: <p className="hint">What is typed stands as its output, and steps after it take it.</p>,
    value: { label: "Output, as JSON", initial: "null" },
    run: (_, output) => post(`${own}/complete`, { output }),
  };
  const fail: Act = {
    title: `Fail ${name}`,
    verb: `Fail ${name}`,
    isRisky: true,
    asksReason: false,
    preview: <p className="hint">It fails for good, as if its function had raised this.</p>,
    value: { label: "Error", isText: true, initial: "" },
    run: (_, error) => post(`${own}/fail`, { error }),
  };
  const cancel: Act = {
    title: `Cancel ${name}`,
    verb: `Cancel ${name}`,
    isRisky: true,
    preview: <p className="hint">It ends as cancelled, and so does everything after it. What is under way is told to stop.</p>,
    run: (reason) => post(`${own}/cancel`, { reason }),
  };
  if (step.status === "held") return [retry, complete, skip, fail, cancel];
  if (isSettled(step.status)) return [];
  const awaited = step.waits_for.filter((each) => each.kind === "event").map((each) => publish(each.name, each.about));
  return [...awaited, complete, skip, fail, cancel];
}

function Attempts(props: { own: readonly AttemptState[]; chosen?: AttemptState; onAttempt: (attempt: number) => void }) {
  return (
    <section className="sec">
      <h3 className="sec__h">
        Attempts <span className="count">{props.own.length}</span>
      </h3>
      <table className="tbl tbl--inset">
        <colgroup>
          <col style={{ width: 40 }} />
          <col style={{ width: 112 }} />
          <col />
          <col style={{ width: 80 }} />
          <col style={{ width: 88 }} />
        </colgroup>
        <thead>
          <tr>
            <th scope="col" className="num">
              #
            </th>
            <th scope="col">Ended</th>
            <th scope="col">With</th>
            <th scope="col" className="num">
              Took
            </th>
            <th scope="col" className="num">
              Started
            </th>
          </tr>
        </thead>
        <tbody>
          {props.own.map((each) => (
            <tr
              key={each.attempt}
              className="is-target"
              aria-selected={each === props.chosen || undefined}
              onClick={() => props.onAttempt(each.attempt)}
            >
              <td className="num">
                <button type="button" className="plain" aria-label={`Attempt ${each.attempt}`} onClick={() => props.onAttempt(each.attempt)}>
                  {each.attempt}
                </button>
              </td>
              <td>
                <Status status={each.status} />
              </td>
              <td className="mono" title={each.failure?.message}>
                {each.failure?.code ?? each.worker}
              </td>
              <td className="num">
                <Took from={each.started} to={each.finished} />
              </td>
              <td className="num">
                <Time at={each.started} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function StepLogs({ own, chosen }: { own: readonly AttemptState[]; chosen?: AttemptState }) {
  const [which, setWhich] = useState<"one" | "all">("one");
  const lines = which === "one" && chosen ? chosen.logs : own.flatMap((each) => each.logs);
  const shown = lines.slice(-200);
  return (
    <section className="sec">
      <div className="sec__h">
        <h3>Logs</h3>
        <span className="count">{lines.length.toLocaleString("en")}</span>
        <span className="right">
          <Seg
            label="Logs of"
            value={which}
            options={[
              ["one", "This attempt"],
              ["all", `All ${own.length}`],
            ]}
            onChange={setWhich}
          />
        </span>
      </div>
      <ul className="log log--panel">
        {shown.map((line, i) => (
          <li key={i}>
            <time>{precise(Date.parse(line.time))}</time>
            <Level level={line.level} />
            <span className="trace">{line.text}</span>
          </li>
        ))}
      </ul>
      {lines.length > shown.length && <p className="hint">The last 200; all of them are under Logs.</p>}
    </section>
  );
}

export function Level({ level }: { level: string }) {
  const word = level.toLowerCase();
  const hue = word === "error" || word === "critical" ? "red" : word === "warning" || word === "warn" ? "amber" : "";
  return <span className={`lv ${hue}`}>{word.replace("warning", "warn").slice(0, 5)}</span>;
}

function Asked({ run, step }: { run: RunState; step: StepState }) {
  const asked = step.asked!;
  const mayAct = useMay();
  return (
    <section className="sec">
      <h3 className="sec__h">Asked of {asked.role || "anybody"}</h3>
      <p>{asked.prompt}</p>
      {asked.changes.map((change) => (
        <p key={change.id} className="s2">
          <Time at={change.at} /> {change.kind} {change.by && `by ${change.by}`} {change.comment}
        </p>
      ))}
      {!isSettled(step.status) && (
        <p>
          <Link className="link" to="/inputs" search={{ run: run.id, wait: step.name }}>
            {mayAct ? "Answer" : "The question"}
          </Link>
        </p>
      )}
    </section>
  );
}
