/** The definition that a run goes by: which version, whether a newer one is deployed and what it changes, and its graph. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { get, part, version, versions } from "../api/client";
import type { Difference, RunState, VersionShown } from "../api/models";
import { Failure } from "../api/problem";
import { Ago, Copy, Skeleton, Time } from "../parts/basics";
import { Json } from "../parts/json";
import { Graph } from "./graph";

export function DefinitionView({ run }: { run: RunState }) {
  const found = useQuery(version(run.workflow, run.fingerprint));
  const known = useQuery(versions(run.workflow));
  if (found.isError) return <Failure problem={found.error} onRetry={() => void found.refetch()} />;
  if (found.isPending) return <Skeleton />;
  const own = known.data?.versions.find((each) => each.fingerprint === run.fingerprint);
  const current = known.data?.versions.find((each) => each.is_current);
  const facts: [string, ReactNode][] = [
    [
      "Fingerprint",
      <span key="f" className="row">
        <code>{run.fingerprint.slice(0, 16)}</code>
        <Copy text={run.fingerprint} label="Copy fingerprint" />
      </span>,
    ],
    ["Steps", found.data.graph.nodes.length.toLocaleString("en")],
  ];
  if (own) facts.push(["Registered", own.registered ? <Since key="r" at={own.registered} /> : "at an unknown time"]);
  if (own) facts.push(["Queues", <span key="q" className="mono">{own.queues.join(", ")}</span>]);
  return (
    <div className="page__scroll" tabIndex={0} role="region" aria-label="Definition">
      <div className="over definition">
        <dl className="facts">
          {facts.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
        {known.isError && <Failure problem={known.error} onRetry={() => void known.refetch()} />}
        {current && <Newer run={run} current={current} />}
        <section className="definition__graph phone-off">
          <h2 className="sec__h">Graph</h2>
          <Graph drawn={found.data.graph} label="Graph of the definition; below it is the same as text" />
        </section>
        <section>
          <h2 className="sec__h">As it was registered</h2>
          <Json value={found.data.definition} label="definition" />
        </section>
      </div>
    </div>
  );
}

function Since({ at }: { at: string }) {
  return (
    <>
      <Time at={at} />, <Ago at={at} />
    </>
  );
}

/** Whether runs that start now go by another definition, and what is other in it. */
function Newer({ run, current }: { run: RunState; current: VersionShown }) {
  const isOther = current.fingerprint !== run.fingerprint;
  const found = useQuery({
    queryKey: ["difference", run.workflow, run.fingerprint, current.fingerprint],
    queryFn: ({ signal }) =>
      get<Difference>(`workflows/${part(run.workflow)}/diff`, { old: run.fingerprint, new: current.fingerprint }, signal),
    enabled: isOther,
    staleTime: Infinity,
    refetchInterval: false,
  });
  if (!isOther) return <p className="q2">Runs of this workflow that start now have this version, too.</p>;
  return (
    <section aria-label="What the newer version changes">
      <p>
        A newer version, <code>{current.fingerprint.slice(0, 7)}</code>, is deployed
        {current.registered && (
          <>
            {" "}
            since <Since at={current.registered} />
          </>
        )}
        : this run stays on its own;{" "}
        <Link className="link" to="/runs" search={{ workflow: run.workflow, version: current.fingerprint }}>
          runs of the newer one
        </Link>
        .
      </p>
      {found.data && (
        <ul className="diff">
          {found.data.changes.map((each) => (
            <li key={`${each.kind} ${each.step} ${each.text}`} className={SIGNS[each.kind] ?? "mod"}>
              <span className="trace">
                {each.step} {each.text}
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

const SIGNS: Partial<Record<Difference["changes"][number]["kind"], string>> = { added: "add", removed: "del" };
