/** Overview: does anything need somebody, and what first. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";

import { get } from "../api/client";
import type { Attention, Need, Overview as OverviewShown } from "../api/models";
import { Failure } from "../api/problem";
import { Empty, Meter, Sentence, Skeleton, State, Status, Time, Took } from "../parts/basics";
import { RUN_STATUSES } from "../pure/look";
import { Charts } from "./charts";
import { Needs } from "./needs";

const SHOWN = ["failed", "paused", "waiting", "running", "pending", "completed"] as const;

export function Overview() {
  const navigate = useNavigate();
  const found = useQuery({
    queryKey: ["overview"],
    queryFn: ({ signal }) => get<OverviewShown>("overview", {}, signal),
  });
  const attention = useQuery({
    queryKey: ["overview", "attention"],
    queryFn: ({ signal }) => get<Attention>("attention", { zone: Intl.DateTimeFormat().resolvedOptions().timeZone }, signal),
  });
  if (found.isError) {
    return (
      <Empty isPage title="The overview could not be read">
        <Failure problem={found.error} onRetry={() => void found.refetch()} />
      </Empty>
    );
  }
  const state = found.data;
  if (!state || attention.isPending) return <Skeleton rows={10} />;
  const needs = attention.data?.needs ?? [];
  const open = RUN_STATUSES.filter((each) => !SHOWN.includes(each as never) && state.counts.counts[each]);
  return (
    <div className="page__scroll" tabIndex={0} role="region" aria-label="Overview">
      <div className="over">
        {attention.isError && <Failure problem={attention.error} onRetry={() => void attention.refetch()} />}
        <h1 className="big">{headline(state, needs)}</h1>
        <nav className="words" aria-label="Runs by state">
          {[...SHOWN, ...open].map((status) => (
            <Link key={status} to="/runs" search={{ status: [status] }}>
              <Status status={status} />
              <b>{(state.counts.counts[status] ?? 0).toLocaleString("en")}</b>
            </Link>
          ))}
        </nav>
        <Needs needs={needs} />
        <Charts gates={state.gates} deployments={state.deployments} releases={state.releases} />
        <section>
          <div className="sect__head">
            <h2>Recent runs</h2>
            <span className="count">newest first</span>
            <span className="right">
              <Link className="link" to="/runs">
                All runs
              </Link>
            </span>
          </div>
          {state.runs.length === 0 ? (
            <p className="q2">No run has been started yet.</p>
          ) : (
            <table className="tbl">
              <thead>
                <tr>
                  <th scope="col" className="w-state">
                    State
                  </th>
                  <th scope="col" className="w-run">
                    Run
                  </th>
                  <th scope="col" className="w-name from-768">
                    Workflow
                  </th>
                  <th scope="col" className="from-768">
                    Now
                  </th>
                  <th scope="col" className="num w-name from-1024">
                    Steps
                  </th>
                  <th scope="col" className="num w-time from-768">
                    Took
                  </th>
                  <th scope="col" className="num w-time from-1024">
                    Created
                  </th>
                </tr>
              </thead>
              <tbody>
                {state.runs.map((run) => (
                  <tr
                    key={run.id}
                    className="is-target"
                    onClick={(event) => {
                      if (!(event.target as Element).closest("a")) void navigate({ to: "/runs/$id", params: { id: run.id } });
                    }}
                  >
                    <td>
                      <State status={run.status} word={run.word} />
                    </td>
                    <td>
                      <Link className="id" to="/runs/$id" params={{ id: run.id }} title={run.id}>
                        {run.id}
                      </Link>
                    </td>
                    <td className="mono q2 from-768">{run.workflow}</td>
                    <td className="from-768">{run.reason ? <Sentence text={run.reason} /> : run.failure ? <code>{run.failure.code}</code> : null}</td>
                    <td className="num from-1024">
                      <Meter done={run.done} total={run.total} /> {run.done}/{run.total}
                    </td>
                    <td className="num from-768">
                      <Took from={run.started} to={run.ended} />
                    </td>
                    <td className="num from-1024">
                      <Time at={run.created} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </section>
      </div>
    </div>
  );
}

function headline(state: OverviewShown, needs: readonly Need[]): string {
  const open = (state.counts.counts.running ?? 0) + (state.counts.counts.waiting ?? 0);
  if (needs.length === 0) return `Nothing needs you. ${open.toLocaleString("en")} runs under way`;
  return `${needs.length} ${needs.length === 1 ? "cause needs" : "causes need"} you`;
}
