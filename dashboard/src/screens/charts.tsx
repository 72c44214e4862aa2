/** Runs over time: how many were created, and how many of them failed, with marks where breakers opened versions were deployed, and releases of the engine began. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { get } from "../api/client";
import type { Deployment, Flow, GateShown, Release } from "../api/models";
import { Seg } from "../parts/basics";
import { line } from "../pure/chart";
import { marks, released, type Mark } from "../pure/marks";
import { counted, moment } from "../pure/time";

const SPANS = [
  ["1h", "1 h"],
  ["24h", "24 h"],
  ["7d", "7 d"],
] as const;

/** So many marks are said beside the title. */
const NAMED = 3;

interface Props {
  gates: readonly GateShown[];
  deployments: readonly Deployment[];
  releases: readonly Release[];
}

export function Charts({ gates, deployments, releases }: Props) {
  const [span, setSpan] = useState<(typeof SPANS)[number][0]>("1h");
  const flow = useQuery({
    queryKey: ["flow", span],
    queryFn: ({ signal }) => get<Flow>("flow", { since: span, count: 60 }, signal),
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
  });
  const found = flow.data;
  if (!found) return null;
  const from = Date.parse(found.stretches[0]!.at);
  const whole = found.width * found.stretches.length;
  const x = (at: number) => (at - from) / whole;
  const opened = gates
    .filter((gate) => gate.state === "open" && gate.since)
    .map((gate) => ({ at: Date.parse(gate.since!), x: x(Date.parse(gate.since!)), text: `breaker ${gate.name} opened` }))
    .filter((mark) => mark.x >= 0 && mark.x <= 1);
  const deployed = marks(deployments.map((each) => ({ ...each, at: Date.parse(each.at) })), from, from + whole, x);
  const begun = released(releases.map((each) => ({ ...each, at: Date.parse(each.at) })), from, from + whole, x);
  const all = [...deployed, ...begun, ...opened].sort((a, b) => a.at - b.at);
  return (
    <section>
      <div className="sect__head">
        <h2>Flow</h2>
        <span className="count">
          since {moment(from, from + whole)}
          {all.slice(-NAMED).map((mark) => `, ${moment(mark.at, from + whole)} ${mark.text}`)}
          {all.length > NAMED && `, and ${all.length - NAMED} before`}
        </span>
        <span className="right">
          <Seg label="Time shown" value={span} options={SPANS} onChange={setSpan} />
        </span>
      </div>
      <div className="charts">
        <Chart title="Runs created" values={found.stretches.map((each) => each.created)} isExact={found.is_exact} marks={all} />
        <Chart title="Of them failed" values={found.stretches.map((each) => each.failed)} isExact={found.is_exact} marks={all} isBad />
      </div>
    </section>
  );
}

function Chart(props: { title: string; values: readonly number[]; isExact: boolean; marks: readonly Mark[]; isBad?: boolean }) {
  const sum = props.values.reduce((total, each) => total + each, 0);
  const most = Math.max(...props.values);
  const path = line(props.values, 100, 40);
  return (
    <figure>
      <figcaption>
        <span className="s2 med">{props.title}</span>
        <br />
        <b>{counted(sum, props.isExact)}</b> <span className="s2 q3">at most {most.toLocaleString("en")} at a time</span>
      </figcaption>
      <svg className="spark" viewBox="0 0 100 41" preserveAspectRatio="none" aria-hidden="true">
        <line className="base" x1="0" x2="100" y1="40.5" y2="40.5" />
        {!props.isBad && <path className="ar" d={`${path} L100 40 L0 40 Z`} />}
        <path className={props.isBad && sum > 0 ? "bad" : "l1"} d={path} />
        {props.marks.map((mark) => (
          <line key={`${mark.at} ${mark.text}`} className="mark" x1={mark.x * 100} x2={mark.x * 100} y1="0" y2="40" />
        ))}
      </svg>
    </figure>
  );
}
