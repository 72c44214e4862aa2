/** What needs somebody, by cause as the server says it, each with what can be done about it. */

import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { part, post } from "../api/client";
import type { Need } from "../api/models";
import { useActs } from "../parts/acting";
import { Sentence, Time, Word } from "../parts/basics";
import type { Act } from "../parts/dialog";

type Facts = Record<string, string>;

/** Retry all runs that failed for this cause, at once. */
function recover(need: Need): Act {
  const { workflow, step, code } = need.evidence as Facts;
  const runs = `${need.affected.toLocaleString("en")} ${need.affected === 1 ? "run" : "runs"}`;
  return {
    title: `Recover all of ${workflow}: ${runs}`,
    verb: `Retry ${runs}`,
    confirm: need.affected,
    preview: (
      <p className="hint">
        Every run of <span className="mono">{workflow}</span> that failed{step && ` at ${step}`} with <span className="mono">{code}</span> within a day is retried: completed steps are kept.
      </p>
    ),
    run: (reason) =>
      post("operations", { act: "retry", reason, filter: { workflow, failure_code: code, failed_step: step, status: ["failed"], created_since: "1d" } }),
  };
}

function actOf(need: Need): Act | undefined {
  const facts = need.evidence as Facts;
  switch (need.code) {
    case "failed":
      return recover(need);
    case "breaker":
      return { title: `Probe ${facts.name} now`, verb: "Probe now", asksReason: false, run: () => post(`gates/${part(facts.name!)}/probe`) };
    case "queue_paused":
      return { title: `Resume queue ${facts.queue}`, verb: "Resume", asksReason: false, run: () => post(`queues/${part(facts.queue!)}/resume`) };
    case "schedule_off":
      return { title: `Switch on ${facts.schedule}`, verb: "Switch on", asksReason: false, run: () => post(`schedules/${part(facts.schedule!)}/resume`) };
    default:
      return undefined;
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
            <th scope="col" className="num w-time">
              <span className="vh">Acts</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {needs.map((need) => {
            const act = actOf(need);
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
                  {act && (
                    <button type="button" className="link" aria-label={act.title} onClick={() => ask(act)}>
                      {need.code === "failed" ? "Recover all" : act.verb}…
                    </button>
                  )}
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
