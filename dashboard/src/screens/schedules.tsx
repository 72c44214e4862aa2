/** Schedules: what fires next, what is off and why. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";

import { get, part, post } from "../api/client";
import type { Schedules as ScheduleList, ScheduleState as Schedule } from "../api/models";
import { Failure } from "../api/problem";
import { useActs } from "../parts/acting";
import { Ago, ClosePanel, Empty, Icon, Skeleton, Status, Switch, Time, Why } from "../parts/basics";
import type { Act } from "../parts/dialog";
import { Json } from "../parts/json";
import { useKeys } from "../parts/keys";
import { Table, type Column } from "../parts/table";
import { look } from "../pure/look";
import { Doers, useMay } from "../shell/session";
import { backfill, change, create, forget, reset } from "./planning";

export interface SchedulesSearch {
  name?: string;
}

export function Schedules() {
  const { name } = useSearch({ from: "/schedules" });
  const navigate = useNavigate({ from: "/schedules" });
  const [ask, dialog] = useActs(["runs", "schedules"]);
  const mayAct = useMay();
  const found = useQuery({
    queryKey: ["runs", "schedules"],
    queryFn: ({ signal }) => get<ScheduleList>("schedules", {}, signal),
  });
  const rows = found.data?.schedules ?? [];
  const at = rows.findIndex((each) => each.name === name);
  const choose = (next: string | undefined) => void navigate({ search: { name: next } });
  useKeys({
    j: () => choose(rows[Math.min(rows.length - 1, at + 1)]?.name),
    k: () => choose(rows[Math.max(0, at - 1)]?.name),
  });
  const turn = (each: Schedule): Act => ({
    title: each.is_on ? `Pause ${each.name}` : `Switch on ${each.name}`,
    verb: each.is_on ? "Pause" : "Switch on",
    preview: each.is_on ? <p className="hint">Nothing fires until it is switched on again.</p> : null,
    asksReason: each.is_on,
    run: (reason) => post(`schedules/${part(each.name)}/${each.is_on ? "pause" : "resume"}`, { reason }),
  });
  const columns: Column<Schedule>[] = [
    {
      key: "on",
      head: "On",
      width: 72,
      cell: (each) => <Switch on={each.is_on} label={`${each.name} is on`} disabled={!mayAct} onChange={() => ask(turn(each))} />,
    },
    {
      key: "name",
      head: "Schedule",
      cell: (each) => (
        <span className="two">
          <Link to="/schedules" search={{ name: each.name }} className="id">
            {each.name}
          </Link>
          <span className="id q3">{each.workflow}</span>
        </span>
      ),
    },
    {
      key: "rule",
      head: "Rule",
      width: 300,
      from: 768,
      cell: (each) => (
        <span className="two">
          <span>{each.rule}</span>
          <span className="s2 q3">{each.timezone}</span>
        </span>
      ),
    },
    {
      key: "next",
      head: "Next",
      width: 160,
      cell: (each) =>
        each.is_on ? (
          <span className="two">
            <Time at={each.next} />
            <span className="s2 q3">
              <Ago at={each.next} />
            </span>
          </span>
        ) : (
          <span className={`state ${each.off_by === "failures" ? "red" : "amber"}`}>
            <Icon name={each.off_by === "failures" ? "s-failed" : "s-paused"} />
            off
          </span>
        ),
    },
    { key: "missed", head: "Missed", width: 72, num: true, from: 1024, cell: (each) => each.missed || "" },
    { key: "failures", head: "Failed in a row", width: 112, num: true, from: 1024, cell: (each) => each.failures || "" },
  ];
  const off = rows.filter((each) => !each.is_on).length;
  return (
    <>
      <div className="page__head">
        <h1>Schedules</h1>
        {found.data && (
          <span className="count">
            {rows.length}
            {off > 0 && `, of them ${off} off`}
          </span>
        )}
        <div className="right row">
          <Doers>
            <button type="button" className="btn btn--main" onClick={() => ask(create())}>
              <Icon name="plus" /> Create a schedule
            </button>
          </Doers>
        </div>
      </div>
      <div className={`split ${name ? "" : "split--plain"}`}>
        <div className="pane">
          {found.isError ? (
            <Empty title="The schedules could not be read">
              <Failure problem={found.error} onRetry={() => void found.refetch()} />
            </Empty>
          ) : found.isPending ? (
            <Skeleton />
          ) : rows.length === 0 ? (
            <Empty title="No schedules">
              <p>Code declares them with app.schedule; this page and the command create them too:</p>
              <pre className="code">stream-durable schedules create --help</pre>
            </Empty>
          ) : (
            <Table
              label="Schedules"
              columns={columns}
              rows={rows}
              rowHeight={48}
              rowKey={(each) => each.name}
              selected={name}
              onOpen={(each) => choose(each.name)}
            />
          )}
        </div>
        {name && (
          <aside className="aside" aria-label={`Schedule ${name}`}>
            <Panel name={name} onClose={() => choose(undefined)} onAct={ask} turn={turn} />
          </aside>
        )}
      </div>
      {dialog}
    </>
  );
}

function Panel(props: { name: string; onClose: () => void; onAct: (act: Act) => void; turn: (each: Schedule) => Act }) {
  const mayAct = useMay();
  const found = useQuery({
    queryKey: ["runs", "schedules", props.name],
    queryFn: ({ signal }) => get<Schedule>(`schedules/${part(props.name)}`, {}, signal),
  });
  const each = found.data;
  return (
    <>
      <div className="aside__head">
        <div className="row">
          <h2 className="mono cut">{props.name}</h2>
          <div className="right row">
            {each && mayAct && (
              <button
                type="button"
                className="btn"
                onClick={() =>
                  props.onAct({
                    title: `Trigger ${each.name} now`,
                    verb: "Trigger now",
                    preview: <p className="hint">It fires once beside its rule, with its input.</p>,
                    asksReason: false,
                    run: () => post(`schedules/${part(each.name)}/trigger`),
                  })
                }
              >
                <Icon name="play" /> Trigger now…
              </button>
            )}
            <ClosePanel onClick={props.onClose} />
          </div>
        </div>
      </div>
      {found.isError && <Failure problem={found.error} onRetry={() => void found.refetch()} />}
      {each && (
        <div className="aside__body" tabIndex={0} role="region" aria-label={`Details of ${each.name}`}>
          {!each.is_on && (
            <section className="sec">
              <Why
                hue={each.off_by === "failures" ? "red" : "amber"}
                icon={each.off_by === "failures" ? "s-failed" : "s-paused"}
                word={each.off_by === "failures" ? "Needs review" : "Blocked"}
                act={
                  mayAct && (
                    <button type="button" className="btn btn--small" onClick={() => props.onAct(props.turn(each))}>
                      Switch on…
                    </button>
                  )
                }
              >
                switched off <Time at={each.off_since} /> by {each.off_cause || each.off_by}. {each.reason}
              </Why>
            </section>
          )}
          <section className="sec">
            <h3 className="sec__h">
              Next <span className="count">{each.timezone}</span>
            </h3>
            <table className="tbl tbl--inset">
              <thead>
                <tr>
                  <th scope="col">In</th>
                  <th scope="col" className="num">
                    You
                  </th>
                </tr>
              </thead>
              <tbody>
                {each.moments.slice(0, 5).map((at) => (
                  <tr key={at}>
                    <td>
                      <Ago at={at} />
                    </td>
                    <td className="num">
                      <Time at={at} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
          <section className="sec">
            <h3 className="sec__h">Last firings</h3>
            {each.firings.length === 0 && <p className="q3">never yet</p>}
            <table className="tbl tbl--inset">
              <thead>
                <tr>
                  <th scope="col">State</th>
                  <th scope="col">Run</th>
                  <th scope="col" className="num">
                    For
                  </th>
                </tr>
              </thead>
              <tbody>
                {each.firings.map((one) => (
                  <tr key={`${one.run} ${one.moment}`}>
                    <td>{one.status in FIRED ? FIRED[one.status] : <Status status={one.status} />}</td>
                    <td>
                      <Link to="/runs/$id" params={{ id: one.run }} className="id" title={one.run}>
                        {one.run}
                      </Link>
                    </td>
                    <td className="num">
                      <Time at={one.moment} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
          <section className="sec">
            <h3 className="sec__h">Rule</h3>
            <dl className="kv">
              <dt>Rule</dt>
              <dd>{each.rule}</dd>
              <dt>Overlap</dt>
              <dd>{each.overlap}</dd>
              <dt>Missed</dt>
              <dd>{each.missed}</dd>
            </dl>
          </section>
          <Doers>
            <section className="sec">
            <div className="sec__acts">
              <button type="button" className="btn" onClick={() => props.onAct(change(each))}>
                Change…
              </button>
              <button type="button" className="btn" onClick={() => props.onAct(backfill(each))}>
                Fill in the past…
              </button>
              {each.is_changed && each.app && (
                <button type="button" className="btn" onClick={() => props.onAct(reset(each))}>
                  Reset…
                </button>
              )}
              <button type="button" className="btn btn--risk" onClick={() => props.onAct(forget(each))}>
                Delete…
              </button>
            </div>
            </section>
          </Doers>
          {each.input !== null && (
            <section className="sec">
              <h3 className="sec__h">Input</h3>
              <Json value={each.input} label={`input of ${each.name}`} />
            </section>
          )}
        </div>
      )}
    </>
  );
}

const FIRED: Record<string, React.ReactNode> = {
  queued: <span className="q2">queued</span>,
  started: (
    <span className={`state ${look("running").hue}`}>
      <Icon name="s-running" /> started
    </span>
  ),
};
