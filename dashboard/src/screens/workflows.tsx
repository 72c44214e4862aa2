/** Workflows: what there is, its versions, and a form that starts a run. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";

import { get, part } from "../api/client";
import type { Workflows as WorkflowList, WorkflowShown, WorkflowWhole } from "../api/models";
import { Failure } from "../api/problem";
import { Empty, Skeleton, Time } from "../parts/basics";
import { Json } from "../parts/json";
import { Table, type Column } from "../parts/table";
import { Doers } from "../shell/session";
import { StartForm } from "./start";

export function Workflows() {
  const navigate = useNavigate();
  const found = useQuery({
    queryKey: ["workflows"],
    queryFn: ({ signal }) => get<WorkflowList>("workflows", {}, signal),
  });
  const rows = found.data?.workflows ?? [];
  const columns: Column<WorkflowShown>[] = [
    {
      key: "name",
      head: "Workflow",
      width: 260,
      cell: (each) => (
        <Link to="/workflows/$name" params={{ name: each.name }} className="id">
          {each.name}
        </Link>
      ),
    },
    { key: "about", head: "About", from: 768, cell: (each) => <span className="q2">{each.description}</span> },
    { key: "version", head: "Version", width: 120, cell: (each) => <span className="id q2">{each.fingerprint.slice(0, 7)}</span> },
    { key: "versions", head: "Versions", width: 88, num: true, from: 768, cell: (each) => each.versions.length },
    { key: "steps", head: "Steps", width: 72, num: true, from: 768, cell: (each) => each.steps },
    { key: "open", head: "Open runs", width: 112, num: true, from: 768, cell: (each) => each.open.toLocaleString("en") },
    { key: "failed", head: "Failed, 1 d", width: 104, num: true, from: 768, cell: (each) => each.failed || "" },
    { key: "last", head: "Last started", width: 128, num: true, cell: (each) => <Time at={each.last_created} /> },
  ];
  return (
    <>
      <div className="page__head">
        <h1>Workflows</h1>
        {found.data && <span className="count">{rows.length}</span>}
      </div>
      {found.isError ? (
        <Empty title="The workflows could not be read">
          <Failure problem={found.error} onRetry={() => void found.refetch()} />
        </Empty>
      ) : found.isPending ? (
        <Skeleton />
      ) : rows.length === 0 ? (
        <Empty title="No workflows">
          <p>A worker registers its workflows when it starts:</p>
          <pre className="code">stream-durable worker shop:app</pre>
        </Empty>
      ) : (
        <Table
          label="Workflows"
          columns={columns}
          rows={rows}
          rowKey={(each) => each.name}
          onOpen={(each) => void navigate({ to: "/workflows/$name", params: { name: each.name } })}
        />
      )}
    </>
  );
}

export function Workflow() {
  const { name } = useParams({ from: "/workflows/$name" });
  const found = useQuery({
    queryKey: ["workflow", name],
    queryFn: ({ signal }) => get<WorkflowWhole>(`workflows/${part(name)}`, {}, signal),
  });
  const state = found.data;
  if (found.isError) {
    return (
      <Empty isPage title={`Workflow ${name} could not be read`}>
        <Failure problem={found.error} onRetry={() => void found.refetch()} />
      </Empty>
    );
  }
  if (!state) return <Skeleton />;
  return (
    <div className="page__scroll" tabIndex={0} role="region" aria-label={`Workflow ${name}`}>
      <div className="over">
        <div className="row">
          <h1 className="mono run__id">{state.name}</h1>
          <span className="tag mono">{state.fingerprint.slice(0, 7)}</span>
          <span className="q2 cut">{state.description}</span>
          <div className="right row">
            <Link className="btn" to="/runs" search={{ workflow: name }}>
              Its runs
            </Link>
          </div>
        </div>
        <div className="io">
          <Doers>
            <section>
              <h2 className="sec__h">Start a run</h2>
              <StartForm workflow={name} />
            </section>
          </Doers>
          <section>
            <h2 className="sec__h">Versions</h2>
            <table className="tbl">
              <thead>
                <tr>
                  <th scope="col">Fingerprint</th>
                  <th scope="col" className="num">
                    Steps
                  </th>
                  <th scope="col">Queues</th>
                </tr>
              </thead>
              <tbody>
                {state.versions.map((each) => (
                  <tr key={each.fingerprint}>
                    <td>
                      <Link className="id" to="/runs" search={{ workflow: name, version: each.fingerprint }}>
                        {each.fingerprint.slice(0, 12)}
                      </Link>{" "}
                      {each.is_current && <span className="tag">current</span>}
                    </td>
                    <td className="num">{each.steps}</td>
                    <td className="mono">{each.queues.join(", ")}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        </div>
        {state.definition !== null && (
          <section>
            <h2 className="sec__h">Definition</h2>
            <Json value={state.definition} label="definition" />
          </section>
        )}
      </div>
    </div>
  );
}
