/** What needs somebody, by cause as the server says it, each with what can be done about it. */

import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { part, post } from "../api/client";
import type { Need } from "../api/models";
import { useActs } from "../parts/acting";
import { Sentence, Time, Word } from "../parts/basics";
import type { Act } from "../parts/dialog";
import { useMay } from "../shell/session";

type Facts = Record<string, string>;

const MARK = "Mark reviewed";

/** An act on all runs that failed for this cause, at once. */
function onAll(need: Need, act: "retry" | "review"): Act {
  const { workflow, step, code } = need.evidence as Facts;
  const runs = `${need.affected.toLocaleString("en")} ${need.affected === 1 ? "run" : "runs"}`;
  const isRetry = act === "retry";
  return {
    title: `${isRetry ? "Recover" : "Mark reviewed"} all of ${workflow}: ${runs}`,
    verb: `${isRetry ? "Retry" : "Mark"} ${runs}`,
    short: isRetry ? "Recover all" : MARK,
    confirm: need.affected,
    preview: (
      <p className="hint">
        Every run of <span className="mono">{workflow}</span> that failed{step && ` at ${step}`} with <span className="mono">{code}</span> within a day{" "}
        {isRetry ? "is retried: completed steps are kept." : "is marked as looked at: nothing runs, and it is no longer listed here, until it is retried."}
      </p>
    ),
    run: (reason) =>
      post("operations", { act, reason, filter: { workflow, failure_code: code, failed_step: step, status: [need.code], created_since: "1d" } }),
  };
}

function actsOf(need: Need): Act[] {
  const facts = need.evidence as Facts;
  switch (need.code) {
    case "failed":
      return [onAll(need, "review"), onAll(need, "retry")];
    case "compensation_failed":
      return [onAll(need, "review")];
    case "breaker":
      return [{ title: `Probe ${facts.name} now`, verb: "Probe now", asksReason: false, run: () => post(`gates/${part(facts.name!)}/probe`) }];
    case "queue_paused":
      return [{ title: `Resume queue ${facts.queue}`, verb: "Resume", asksReason: false, run: () => post(`queues/${part(facts.queue!)}/resume`) }];
    case "schedule_off":
      return [{ title: `Switch on ${facts.schedule}`, verb: "Switch on", asksReason: false, run: () => post(`schedules/${part(facts.schedule!)}/resume`) }];
    case "binding_off":
      return [{ title: `Resume binding ${facts.binding}`, verb: "Resume", asksReason: false, run: () => post(`bindings/${part(facts.binding!)}/resume`) }];
    default:
      return [];
  }
}

function placeOf(need: Need): ReactNode {
  const facts = need.evidence as Facts;
  const of = need.affected.toLocaleString("en");
  switch (need.code) {
    case "failed":
    case "compensation_failed":
      return (
        <Link className="link" to="/runs" search={{ workflow: facts.workflow, status: [need.code], code: facts.code, at: facts.step || undefined, since: "24h" }}>
          {of} {need.affected === 1 ? "run" : "runs"}
        </Link>
      );
    case "not_carried":
      return (
        <Link className="link" to="/runs" search={{ workflow: facts.workflow }}>
          {of} {need.affected === 1 ? "run" : "runs"}
        </Link>
      );
    case "breaker":
      return (
        <Link className="link" to="/gates" search={{ name: facts.name, key: facts.key || undefined }}>
          {of} waiting
        </Link>
      );
    case "queue_paused":
      return (
        <Link className="link" to="/workers">
          queue
        </Link>
      );
    case "schedule_off":
      return (
        <Link className="link" to="/schedules" search={{ name: facts.schedule }}>
          schedule
        </Link>
      );
    case "binding_off":
    case "binding_stopped":
      return (
        <Link className="link" to="/triggers" search={{ binding: facts.binding }}>
          {of} waiting
        </Link>
      );
    case "inputs_expiring":
      return (
        <Link className="link" to="/inputs">
          {of} {need.affected === 1 ? "input" : "inputs"}
        </Link>
      );
    default:
      return (
        <Link className="link" to="/stream">
          {of} {need.affected === 1 ? "record" : "records"}
        </Link>
      );
  }
}

export function Needs({ needs }: { needs: readonly Need[] }) {
  const [ask, dialog] = useActs(["overview"]);
  const mayAct = useMay();
  if (needs.length === 0) return null;
  return (
    <section>
      <div className="sect__head">
        <h2>Needs attention</h2>
        <span className="count">by cause, most urgent first</span>
      </div>
      <table className="tbl">
        <thead>
          <tr>
            <th scope="col" className="w-word">
              State
            </th>
            <th scope="col">Cause</th>
            <th scope="col" className="num w-time from-768">
              Affected
            </th>
            <th scope="col" className="num w-time from-1024">
              Since
            </th>
            <th scope="col" className="num w-acts">
              <span className="vh">Acts</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {needs.map((need) => {
            return (
              <tr key={need.sentence}>
                <td>
                  <Word word={need.word} />
                </td>
                <td title={need.sentence.replaceAll("`", "")}>
                  <Sentence text={need.sentence} />
                </td>
                <td className="num from-768">{placeOf(need)}</td>
                <td className="num from-1024">
                  <Time at={need.since} />
                </td>
                <td className="num">
                  <span className="acts">
                    {(mayAct ? actsOf(need) : []).map((act) => (
                      <button key={act.title} type="button" className={act.short === MARK ? "link from-768" : "link"} aria-label={act.title} onClick={() => ask(act)}>
                        {act.short ?? act.verb}…
                      </button>
                    ))}
                  </span>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {dialog}
    </section>
  );
}
