/** What starts runs by itself: triggers on events, and bindings of topics of others. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { get, part, post, remove } from "../api/client";
import type { Binding, Bindings, TriggerState, Triggers as TriggerList } from "../api/models";
import { Failure } from "../api/problem";
import { useActs } from "../parts/acting";
import { ClosePanel, Empty, Icon, Skeleton, Switch, Tag, Time, Why } from "../parts/basics";
import type { Act } from "../parts/dialog";
import { Json } from "../parts/json";
import { Table, type Column } from "../parts/table";
import { Doers, useMay } from "../shell/session";
import { publish } from "./sending";

export interface TriggersSearch {
  trigger?: string;
  binding?: string;
}

type Ask = (act: Act) => void;

/** The act that turns one off or on. */
function turn(kind: "trigger" | "binding", each: { name: string; is_on: boolean }): Act {
  const at = `${kind}s/${part(each.name)}`;
  if (!each.is_on) {
    return { title: `Resume ${kind} ${each.name}`, verb: "Resume", asksReason: false, run: () => post(`${at}/resume`) };
  }
  const lost = kind === "trigger" ? "Events that come meanwhile start nothing." : "Records that come meanwhile are read when it is resumed.";
  return {
    title: `Pause ${kind} ${each.name}`,
    verb: "Pause",
    preview: <p className="hint">{lost}</p>,
    run: (reason) => post(`${at}/pause`, { reason }),
  };
}

/** The act that gives past records again, as an operation. */
function replay(kind: "trigger" | "binding", name: string): Act {
  const some = kind === "trigger" ? "Events" : "Records";
  return {
    title: `Replay for ${kind} ${name}`,
    verb: "Replay",
    asksReason: false,
    preview: <p className="hint">{some} of that time are read again; those that were taken before change nothing. Operations shows how far it is.</p>,
    form: {
      schema: {
        type: "object",
        required: ["since"],
        properties: {
          since: { type: "string", format: "date-time", title: "From" },
          until: { type: "string", format: "date-time", title: "Until", description: "Empty: the present end." },
        },
      },
    },
    run: (_, value) => post(`${kind}s/${part(name)}/replay`, value),
  };
}

/** The act that lets a binding go past the record at which it stands in a partition. */
function skip(name: string, partition: number, offset: number): Act {
  return {
    title: `Skip offset ${offset} in partition ${partition} of ${name}`,
    verb: "Skip",
    preview: <p className="hint">The record is set aside with the reason, and the partition is read on. The next record that cannot be taken stops it again.</p>,
    run: (reason) => post(`bindings/${part(name)}/skip`, { partition, offset, reason }),
  };
}

function forget(kind: "trigger" | "binding", name: string): Act {
  return {
    title: `Delete ${kind} ${name}`,
    verb: "Delete",
    isRisky: true,
    asksReason: false,
    preview: <p className="hint">No code declares it any more. It is forgotten; its runs go on.</p>,
    run: () => remove(`${kind}s/${part(name)}`),
  };
}

export function Triggers() {
  const search = useSearch({ from: "/triggers" });
  const navigate = useNavigate({ from: "/triggers" });
  const [ask, dialog] = useActs(["runs", "triggers"]);
  const mayAct = useMay();
  const triggers = useQuery({
    queryKey: ["runs", "triggers"],
    queryFn: ({ signal }) => get<TriggerList>("triggers", {}, signal),
  });
  const bindings = useQuery({
    queryKey: ["runs", "triggers", "bindings"],
    queryFn: ({ signal }) => get<Bindings>("bindings", {}, signal),
  });
  const problem = triggers.error ?? bindings.error;
  const trigger = triggers.data?.triggers.find((each) => each.name === search.trigger);
  const binding = bindings.data?.bindings.find((each) => each.name === search.binding);
  const close = () => void navigate({ search: {} });
  const found = trigger ?? binding;
  return (
    <>
      <div className="page__head">
        <h1>Triggers</h1>
        {triggers.data && bindings.data && (
          <span className="count">
            {triggers.data.triggers.length} on events, {bindings.data.bindings.length} on topics
          </span>
        )}
        {mayAct && (
          <div className="right row">
            <button type="button" className="btn btn--main" onClick={() => ask(publish())}>
              <Icon name="send" /> Publish an event…
            </button>
          </div>
        )}
      </div>
      {problem ? (
        <Empty title="This could not be read">
          <Failure problem={problem} onRetry={() => void Promise.all([triggers.refetch(), bindings.refetch()])} />
        </Empty>
      ) : !triggers.data || !bindings.data ? (
        <Skeleton />
      ) : (
        <div className={`split ${found ? "" : "split--plain"}`}>
          <div className="pane">
            <div className="page__scroll" tabIndex={0} role="region" aria-label="Triggers and bindings">
              <div className="over over--flat">
                <section>
                  <h2 className="sec__h">On events</h2>
                  <TriggerTable rows={triggers.data.triggers} selected={search.trigger} onAct={ask} onOpen={(name) => void navigate({ search: { trigger: name } })} />
                </section>
                <section>
                  <h2 className="sec__h">On topics of others</h2>
                  <BindingTable rows={bindings.data.bindings} selected={search.binding} onAct={ask} onOpen={(name) => void navigate({ search: { binding: name } })} />
                </section>
              </div>
            </div>
          </div>
          {trigger && <TriggerPanel each={trigger} onAct={ask} onClose={close} />}
          {binding && <BindingPanel each={binding} onAct={ask} onClose={close} />}
        </div>
      )}
      {dialog}
    </>
  );
}

interface TableOf<T> {
  rows: readonly T[];
  selected?: string;
  onAct: Ask;
  onOpen: (name: string) => void;
}

function TriggerTable({ rows, selected, onAct, onOpen }: TableOf<TriggerState>) {
  const mayAct = useMay();
  if (rows.length === 0) return <p className="q2">No workflow is started by an event: app.on(event, start=workflow) declares it.</p>;
  const columns: Column<TriggerState>[] = [
    {
      key: "on",
      head: "On",
      width: 72,
      cell: (each) => <Switch on={each.is_on} label={`Trigger ${each.name} is on`} disabled={!mayAct} onChange={() => onAct(turn("trigger", each))} />,
    },
    {
      key: "name",
      head: "Trigger",
      width: 200,
      cell: (each) => (
        <Link to="/triggers" search={{ trigger: each.name }} className="id">
          {each.name}
        </Link>
      ),
    },
    { key: "event", head: "Event", from: 768, cell: (each) => <span className="id">{each.event}</span> },
    { key: "workflow", head: "Starts", cell: (each) => <span className="id">{each.workflow}</span> },
    { key: "app", head: "Declared by", width: 160, from: 1024, cell: (each) => (each.is_undeclared ? <Tag>no code</Tag> : <span className="mono q2">{each.app}</span>) },
  ];
  return <Table label="Triggers" columns={columns} rows={rows} rowKey={(each) => each.name} selected={selected} onOpen={(each) => onOpen(each.name)} />;
}

function BindingTable({ rows, selected, onAct, onOpen }: TableOf<Binding>) {
  const mayAct = useMay();
  if (rows.length === 0) return <p className="q2">No topic of others is read: app.on(app.topic(name), …) declares it.</p>;
  const columns: Column<Binding>[] = [
    {
      key: "on",
      head: "On",
      width: 72,
      cell: (each) => <Switch on={each.is_on} label={`Binding ${each.name} is on`} disabled={!mayAct} onChange={() => onAct(turn("binding", each))} />,
    },
    {
      key: "name",
      head: "Binding",
      cell: (each) => (
        <Link to="/triggers" search={{ binding: each.name }} className="id">
          {each.name}
        </Link>
      ),
    },
    { key: "topic", head: "Topic", width: 220, from: 768, cell: (each) => <span className="id">{each.topic}</span> },
    {
      key: "target",
      head: "Makes",
      width: 240,
      from: 768,
      cell: (each) => (
        <>
          {each.makes} <span className="id">{each.target}</span>
        </>
      ),
    },
    {
      key: "state",
      head: "State",
      width: 128,
      from: 768,
      cell: (each) =>
        each.stopped || each.trouble ? (
          <span className="state red" title={each.stopped || each.trouble}>
            <Icon name="s-failed" /> {each.stopped ? "stands still" : "in trouble"}
          </span>
        ) : each.is_on ? (
          <span className="state green">
            <Icon name="s-completed" /> read
          </span>
        ) : (
          <span className="state amber">
            <Icon name="s-paused" /> paused
          </span>
        ),
    },
    { key: "lag", head: "Lag", width: 72, num: true, cell: (each) => each.lag?.toLocaleString("en") ?? "" },
    { key: "bad", head: "Bad", width: 64, num: true, from: 1024, cell: (each) => each.bad_records || "" },
  ];
  return <Table label="Bindings" columns={columns} rows={rows} rowKey={(each) => each.name} selected={selected} onOpen={(each) => onOpen(each.name)} />;
}

function Side(props: { title: string; each: { is_on: boolean; off_by: string; off_since: string | null; reason: string }; act: Act; onAct: Ask; onClose: () => void; children: ReactNode }) {
  const { each, act } = props;
  return (
    <aside className="aside" aria-label={props.title}>
      <div className="aside__head">
        <div className="row">
          <h2 className="mono cut">{props.title}</h2>
          <div className="right row">
            <Doers>
              <button type="button" className="btn" onClick={() => props.onAct(act)}>
                <Icon name={each.is_on ? "pause" : "play"} /> {act.verb}…
              </button>
            </Doers>
            <ClosePanel onClick={props.onClose} />
          </div>
        </div>
      </div>
      <div className="aside__body" tabIndex={0} role="region" aria-label={`Details of ${props.title}`}>
        {!each.is_on && (
          <section className="sec">
            <Why hue="amber" icon="s-paused" word="Blocked">
              paused <Time at={each.off_since} /> by {each.off_by || "somebody"}
              {each.reason && `: ${each.reason}`}.
            </Why>
          </section>
        )}
        {props.children}
      </div>
    </aside>
  );
}

function TriggerPanel({ each, onAct, onClose }: { each: TriggerState; onAct: Ask; onClose: () => void }) {
  const mayAct = useMay();
  return (
    <Side title={each.name} each={each} act={turn("trigger", each)} onAct={onAct} onClose={onClose}>
      <section className="sec">
        <dl className="kv">
          <dt>Event</dt>
          <dd className="mono">{each.event}</dd>
          <dt>Starts</dt>
          <dd>
            <Link className="link mono" to="/workflows/$name" params={{ name: each.workflow }}>
              {each.workflow}
            </Link>
          </dd>
          <dt>Run id</dt>
          <dd className="mono">{each.id}</dd>
        </dl>
      </section>
      {mayAct && (
        <section className="sec">
          <div className="sec__acts">
            <button type="button" className="btn" onClick={() => onAct(publish(each.event))}>
              <Icon name="send" /> Publish {each.event}…
            </button>
            <button type="button" className="btn" onClick={() => onAct(replay("trigger", each.name))}>
              <Icon name="retry" /> Replay…
            </button>
          </div>
        </section>
      )}
      <section className="sec">
        <h3 className="sec__h">Input</h3>
        <Json value={each.input} label={`input of ${each.name}`} />
      </section>
      {Object.keys(each.match).length > 0 && (
        <section className="sec">
          <h3 className="sec__h">Only where</h3>
          <Json value={each.match} label={`conditions of ${each.name}`} />
        </section>
      )}
      {each.is_undeclared && <Forget kind="trigger" name={each.name} onAct={onAct} />}
    </Side>
  );
}

function Forget({ kind, name, onAct }: { kind: "trigger" | "binding"; name: string; onAct: Ask }) {
  return (
    <section className="sec">
      <p className="hint">No code declares it any more.</p>
      <Doers>
        <button type="button" className="btn btn--risk" onClick={() => onAct(forget(kind, name))}>
          Delete…
        </button>
      </Doers>
    </section>
  );
}

function BindingPanel({ each, onAct, onClose }: { each: Binding; onAct: Ask; onClose: () => void }) {
  const mayAct = useMay();
  return (
    <Side title={each.name} each={each} act={turn("binding", each)} onAct={onAct} onClose={onClose}>
      {(each.stopped || each.trouble) && (
        <section className="sec">
          <Why hue="red" icon="s-failed" word="Needs review">
            {each.stopped || each.trouble}
          </Why>
          {each.partitions.map(
            ({ partition, position, stopped }) =>
              mayAct &&
              stopped &&
              position !== null && (
                <button key={partition} type="button" className="btn" onClick={() => onAct(skip(each.name, partition, position))}>
                  Skip offset {position.toLocaleString("en")} in partition {partition}…
                </button>
              ),
          )}
        </section>
      )}
      <section className="sec">
        <dl className="kv">
          <dt>Topic</dt>
          <dd className="mono">{each.topic}</dd>
          <dt>Format</dt>
          <dd>{each.format}</dd>
          <dt>Makes</dt>
          <dd>
            {each.makes} <span className="mono">{each.target}</span>
          </dd>
          <dt>Bad records</dt>
          <dd>
            {each.bad_records.toLocaleString("en")}, {each.bad === "dead" ? "set aside" : each.bad === "skip" ? "skipped" : "it stops"}
          </dd>
        </dl>
      </section>
      {mayAct && (
        <section className="sec">
          <button type="button" className="btn" onClick={() => onAct(replay("binding", each.name))}>
            <Icon name="retry" /> Replay…
          </button>
        </section>
      )}
      <section className="sec">
        <h3 className="sec__h">Partitions</h3>
        <table className="tbl tbl--inset">
          <thead>
            <tr>
              <th scope="col" className="w-num">
                P
              </th>
              <th scope="col" className="num">
                Position
              </th>
              <th scope="col" className="num w-time">
                End
              </th>
              <th scope="col" className="num w-num">
                Lag
              </th>
            </tr>
          </thead>
          <tbody>
            {each.partitions.map((one) => (
              <tr key={one.partition} title={one.stopped || undefined}>
                <td>{one.partition}</td>
                <td className="num mono">{one.position?.toLocaleString("en")}</td>
                <td className="num mono">{one.end.toLocaleString("en")}</td>
                <td className="num">{one.lag?.toLocaleString("en")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <section className="sec">
        <h3 className="sec__h">Taken from a record</h3>
        <Json value={each.paths} label={`paths of ${each.name}`} />
      </section>
      {each.is_undeclared && <Forget kind="binding" name={each.name} onAct={onAct} />}
    </Side>
  );
}
