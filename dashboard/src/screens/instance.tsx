/** The instance: partitions and readers, records that could not be applied, and what is sent later. */

import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import { get, part, remove } from "../api/client";
import type { PartitionShown, Planned, PlannedList, ProcessState, ReadersShown, StatusShown } from "../api/models";
import { Failure } from "../api/problem";
import { useActs } from "../parts/acting";
import { Ago, Empty, Icon, Sentence, Skeleton, Time, Took } from "../parts/basics";
import { ActDialog, type Act } from "../parts/dialog";
import { Table, type Column } from "../parts/table";
import { useMay } from "../shell/session";
import { DeadPanel, DeadTable } from "./dead";

export interface StreamSearch {
  /** The id of a record that could not be applied. */
  record?: string;
}

export function Screen(props: { title: string; count?: string; query: { isError: boolean; error: Error | null; isPending: boolean; refetch: () => unknown }; children: ReactNode }) {
  const { query } = props;
  return (
    <>
      <div className="page__head">
        <h1>{props.title}</h1>
        {props.count !== undefined && <span className="count">{props.count}</span>}
      </div>
      {query.isError && query.error ? (
        <Empty title="This could not be read">
          <Failure problem={query.error} onRetry={() => void query.refetch()} />
        </Empty>
      ) : query.isPending ? (
        <Skeleton />
      ) : (
        props.children
      )}
    </>
  );
}

export function Stream() {
  const status = useQuery({
    queryKey: ["runs", "status"],
    queryFn: ({ signal }) => get<StatusShown>("status", {}, signal),
    refetchInterval: 5_000,
  });
  const { record } = useSearch({ from: "/stream" });
  const navigate = useNavigate({ from: "/stream" });
  const [ask, dialog] = useActs(["dead"]);
  const state = status.data;
  return (
    <Screen title="Stream" query={status} count={state ? sentence(state) : undefined}>
      {state && (
        <div className={`split ${record ? "" : "split--plain"}`}>
          <div className="pane page__scroll" tabIndex={0} role="region" aria-label="Stream">
            <div className="over over--flat">
              {state.concerns.map((each) => (
                <div key={each.what} className="why red">
                  <Icon name="s-failed" />
                  <p>
                    <Sentence text={each.what} /> <span className="q2">{each.remedy}</span>
                  </p>
                </div>
              ))}
              <div className="io">
                <Partitions rows={state.partitions} />
                <ReadersTable readers={[...(state.ingress ? [state.ingress] : []), ...state.queues]} />
              </div>
              <Processes rows={state.processes} />
              <DeadTable chosen={record} />
            </div>
          </div>
          {record && (
            <aside className="aside" aria-label={`Record ${record}`}>
              <DeadPanel key={record} id={record} onAct={ask} onClose={() => void navigate({ search: {} })} />
            </aside>
          )}
        </div>
      )}
      {dialog}
    </Screen>
  );
}

function sentence(state: StatusShown): string {
  const orphans = state.partitions.filter((each) => each.owner === null).length;
  const lag = state.partitions.reduce((sum, each) => sum + each.lag, 0);
  const owned = orphans ? `${orphans} partitions have no owner` : "every partition has an owner";
  return `${owned}, ${lag.toLocaleString("en")} records left`;
}

function Partitions({ rows }: { rows: readonly PartitionShown[] }) {
  return (
    <section>
      <h2 className="sec__h mono">{rows[0]?.topic ?? "inbox"}</h2>
      <table className="tbl">
        <thead>
          <tr>
            <th scope="col" className="w-num">
              P
            </th>
            <th scope="col">Owner</th>
            <th scope="col" className="num w-time">
              Next offset
            </th>
            <th scope="col" className="num w-num">
              Lag
            </th>
            <th scope="col" className="num w-time">
              Behind
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((each) => (
            <tr key={each.partition}>
              <td>{each.partition}</td>
              <td className="mono" title={each.lost_reason ?? undefined}>
                {each.lost_reason ? (
                  <span className="state red">
                    <Icon name="s-failed" /> stands still
                  </span>
                ) : (
                  (each.owner ?? (
                    <span className="state amber">
                      <Icon name="s-blocked" /> nobody
                    </span>
                  ))
                )}
              </td>
              <td className="num mono">{each.next_offset.toLocaleString("en")}</td>
              <td className="num">{each.lag.toLocaleString("en")}</td>
              <td className="num">{each.lag > 0 && each.behind_since ? <Took from={each.behind_since} to={null} /> : "0 s"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function ReadersTable({ readers }: { readers: readonly ReadersShown[] }) {
  if (readers.length === 0) return null;
  return (
    <section>
      <h2 className="sec__h">Queues and readers</h2>
      <table className="tbl">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col" className="num w-time">
              Readers
            </th>
            <th scope="col" className="num w-num">
              Lag
            </th>
            <th scope="col" className="num w-time">
              Behind
            </th>
          </tr>
        </thead>
        <tbody>
          {readers.map((each) => (
            <tr key={each.name}>
              <td className="mono">{each.name}</td>
              <td className="num" title={each.members.map((one) => `${one.name} on ${one.host}`).join(", ")}>
                {each.members.length || (
                  <span className="state amber">
                    <Icon name="s-blocked" /> none
                  </span>
                )}
              </td>
              <td className="num">{each.lag.toLocaleString("en")}</td>
              <td className="num">{each.lag > 0 && each.behind_since ? <Took from={each.behind_since} to={null} /> : "0 s"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Who is there, of all kinds, with the release that each runs: several releases at once are said. */
function Processes({ rows }: { rows: readonly ProcessState[] }) {
  if (rows.length === 0) return null;
  const there = rows.filter((each) => !each.is_gone);
  const releases = [...new Set(there.map((each) => each.version).filter(Boolean))].sort();
  return (
    <section aria-label="Processes">
      <h2 className="sec__h">
        Processes <span className="count">{there.length}</span>
        {releases.length > 1 && (
          <span className="state amber">
            <Icon name="s-blocked" /> releases {releases.join(", ")}
          </span>
        )}
      </h2>
      <table className="tbl">
        <thead>
          <tr>
            <th scope="col" className="w-state">
              Kind
            </th>
            <th scope="col">Name</th>
            <th scope="col" className="w-time">
              Release
            </th>
            <th scope="col" className="num w-num from-768">
              Format
            </th>
            <th scope="col" className="from-768">
              Host
            </th>
            <th scope="col" className="num w-time">
              Since
            </th>
            <th scope="col" className="num w-time">
              Seen
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((each) => (
            <tr key={`${each.kind} ${each.name}`}>
              <td>
                {each.is_gone ? (
                  <span className="state red">
                    <Icon name="s-failed" /> {each.kind}, gone
                  </span>
                ) : (
                  each.kind
                )}
              </td>
              <td className="mono" title={each.name}>
                {each.name}
              </td>
              <td className="mono">{each.version || "unknown"}</td>
              <td className="num mono from-768">{each.format || ""}</td>
              <td className="mono from-768" title={each.host}>
                {each.host}
              </td>
              <td className="num">
                <Time at={each.since} />
              </td>
              <td className="num">
                <Time at={each.seen} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function Later() {
  const mayAct = useMay();
  const queries = useQueryClient();
  const [act, setAct] = useState<Act>();
  const pages = useInfiniteQuery({
    queryKey: ["runs", "later"],
    queryFn: ({ pageParam, signal }) =>
      get<PlannedList>("later", { limit: 100, after: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.following,
  });
  const rows = pages.data?.pages.flatMap((page) => page.messages) ?? [];
  const columns: Column<Planned>[] = [
    {
      key: "due",
      head: "Due",
      width: 220,
      cell: (each) => (
        <>
          <Time at={each.due} /> <span className="q3">
            <Ago at={each.due} />
          </span>
        </>
      ),
    },
    { key: "kind", head: "Kind", width: 88, cell: (each) => each.kind },
    { key: "name", head: "Name", from: 768, cell: (each) => <span className="id">{each.name ?? each.key}</span> },
    {
      key: "run",
      head: "Run",
      width: 240,
      cell: (each) =>
        each.run && (
          <Link className="id" to="/runs/$id" params={{ id: each.run }}>
            {each.run}
          </Link>
        ),
    },
    { key: "by", head: "By", width: 140, from: 1024, cell: (each) => each.by },
    {
      key: "act",
      head: <span className="vh">Acts</span>,
      width: 104,
      num: true,
      cell: (each) => mayAct && (
        <button
          type="button"
          className="link"
          aria-label={`Cancel ${each.kind} ${each.id}`}
          onClick={() =>
            setAct({
              title: `Do not send ${each.kind} ${each.name ?? each.id}`,
              verb: "Do not send it",
              isRisky: true,
              asksReason: false,
              run: () => remove(`later/${part(each.id)}`),
            })
          }
        >
          Cancel…
        </button>
      ),
    },
  ];
  return (
    <Screen title="Later" query={pages} count={`${rows.length.toLocaleString("en")} to come`}>
      {rows.length === 0 ? (
        <Empty title="Nothing is to be sent later">
          <p>Signals, events and starts with a time are listed here until they are sent:</p>
          <pre className="code">stream-durable publish reminder --key 42 --after 2h</pre>
        </Empty>
      ) : (
        <Table
          label="Later"
          columns={columns}
          rows={rows}
          rowKey={(each) => each.id}
          onEnd={() => pages.hasNextPage && !pages.isFetching && void pages.fetchNextPage()}
        />
      )}
      {act && (
        <ActDialog
          act={act}
          onClose={() => setAct(undefined)}
          onDone={() => {
            setAct(undefined);
            void queries.invalidateQueries({ queryKey: ["runs", "later"] });
          }}
        />
      )}
    </Screen>
  );
}
