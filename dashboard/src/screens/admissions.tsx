/** Admissions: starts of a workflow that meet, those waiting to be let in and those under way. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";

import { get, part } from "../api/client";
import type { Admissions as AdmissionList, AdmissionShown, AdmissionWhole } from "../api/models";
import { Failure } from "../api/problem";
import { Ago, ClosePanel, Empty, Skeleton, Time } from "../parts/basics";
import { useKeys } from "../parts/keys";
import { Table, type Column } from "../parts/table";
import { Screen } from "./instance";

export interface AdmissionsSearch {
  name?: string;
  key?: string;
}

const named = (one: AdmissionShown) => (one.key ? `${one.workflow} ${one.key}` : one.workflow);

export function Admissions() {
  const search = useSearch({ from: "/admissions" });
  const navigate = useNavigate({ from: "/admissions" });
  const found = useQuery({
    queryKey: ["runs", "admissions"],
    queryFn: ({ signal }) => get<AdmissionList>("admissions", {}, signal),
  });
  const rows = found.data?.admissions ?? [];
  const chosen = rows.find((one) => one.workflow === search.name && one.key === (search.key ?? ""));
  const choose = (one: AdmissionShown | undefined) => void navigate({ search: { name: one?.workflow, key: one?.key || undefined } });
  const at = chosen ? rows.indexOf(chosen) : -1;
  useKeys({
    j: () => choose(rows[Math.min(rows.length - 1, at + 1)]),
    k: () => choose(rows[Math.max(0, at - 1)]),
  });
  const columns: Column<AdmissionShown>[] = [
    {
      key: "name",
      head: "Workflow and key",
      width: 280,
      cell: (one) => (
        <Link to="/admissions" search={{ name: one.workflow, key: one.key || undefined }} className="id">
          {named(one)}
        </Link>
      ),
    },
    { key: "rule", head: "Rule", from: 768, cell: (one) => <span title={one.rule}>{one.rule}</span> },
    { key: "begins", head: "Begins", width: 128, num: true, from: 768, cell: (one) => <Ago at={one.begins} /> },
    { key: "way", head: "Under way", width: 96, num: true, from: 768, cell: (one) => one.under_way.toLocaleString("en") },
    { key: "waiting", head: "Waiting", width: 80, num: true, cell: (one) => one.waiting.toLocaleString("en") },
  ];
  return (
    <Screen title="Admissions" query={found} count={String(rows.length)}>
      {rows.length === 0 ? (
        <Empty title="No runs wait for others">
          <p>A workflow with starts= has its runs here while they wait to be let in, or are under way one at a time.</p>
        </Empty>
      ) : (
        <div className={`split ${chosen ? "" : "split--plain"}`}>
          <div className="pane">
            <Table label="Admissions" columns={columns} rows={rows} rowKey={(one) => one.id} selected={chosen?.id} onOpen={choose} />
          </div>
          {chosen && (
            <aside className="aside" aria-label={`Admission ${named(chosen)}`}>
              <Panel key={chosen.id} one={chosen} onClose={() => choose(undefined)} />
            </aside>
          )}
        </div>
      )}
    </Screen>
  );
}

function Panel({ one, onClose }: { one: AdmissionShown; onClose: () => void }) {
  const whole = useQuery({
    queryKey: ["runs", "admissions", one.workflow, one.key],
    queryFn: ({ signal }) => get<AdmissionWhole>(`admissions/${part(one.workflow)}`, { key: one.key }, signal),
  });
  return (
    <>
      <div className="aside__head">
        <div className="row">
          <h2 className="mono cut">{named(one)}</h2>
          <div className="right row">
            <ClosePanel onClick={onClose} />
          </div>
        </div>
        <p className="s2 q2">{one.rule}</p>
        {one.begins && (
          <p className="s2">
            Begins <Time at={one.begins} />, <Ago at={one.begins} />, if no more come.
          </p>
        )}
      </div>
      <div className="aside__body" tabIndex={0} role="region" aria-label={`Runs at ${named(one)}`}>
        {whole.isError && <Failure problem={whole.error} onRetry={() => void whole.refetch()} />}
        {whole.isPending && <Skeleton rows={3} />}
        {whole.data && <Members whole={whole.data} />}
      </div>
    </>
  );
}

function Members({ whole }: { whole: AdmissionWhole }) {
  return (
    <section className="sec">
      <h3 className="sec__h">
        Runs, in order <span className="count">{whole.runs.length}</span>
      </h3>
      <table className="tbl tbl--inset">
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col" className="w-name">
              Stage
            </th>
            <th scope="col" className="num w-time">
              Since
            </th>
          </tr>
        </thead>
        <tbody>
          {whole.runs.map((member) => (
            <tr key={member.run}>
              <td>
                <Link className="id" to="/runs/$id" params={{ id: member.run }} title={member.run}>
                  {member.run}
                </Link>
              </td>
              <td title={member.into ? `goes with ${member.into}` : undefined}>{member.stage.replaceAll("_", " ")}</td>
              <td className="num">
                <Time at={member.since} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {whole.runs.length < whole.waiting + whole.under_way && <p className="hint">The first {whole.runs.length} are shown.</p>}
    </section>
  );
}
