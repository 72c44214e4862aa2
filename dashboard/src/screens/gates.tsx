/** Gates and breakers: who is inside, who waits, and limits changed at run time. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";

import { get, part, patch, post } from "../api/client";
import type { Gates as GateList, GateShown, GateWhole } from "../api/models";
import { Failure } from "../api/problem";
import { useActs } from "../parts/acting";
import { Ago, ClosePanel, Empty, Icon, Skeleton, Tag, Time } from "../parts/basics";
import type { Act } from "../parts/dialog";
import { useKeys } from "../parts/keys";
import { Table, type Column } from "../parts/table";
import type { Schema } from "../pure/form";
import { useMay } from "../shell/session";
import { Screen } from "./instance";

export interface GatesSearch {
  name?: string;
  key?: string;
}

const STATES: Record<string, ["s-completed" | "s-blocked" | "s-retrying", string]> = {
  closed: ["s-completed", "green"],
  open: ["s-blocked", "amber"],
  "half-open": ["s-retrying", "amber"],
  free: ["s-completed", "green"],
  full: ["s-blocked", "amber"],
};

function GateState({ gate }: { gate: GateShown }) {
  const [icon, hue] = STATES[gate.state] ?? ["s-blocked", "grey"];
  return (
    <span className={`state ${hue}`}>
      <Icon name={icon} /> {gate.state}
    </span>
  );
}

export function Gates() {
  const search = useSearch({ from: "/gates" });
  const navigate = useNavigate({ from: "/gates" });
  const [ask, dialog] = useActs(["runs", "gates"]);
  const gates = useQuery({
    queryKey: ["runs", "gates"],
    queryFn: ({ signal }) => get<GateList>("gates", {}, signal),
  });
  const rows = gates.data?.gates ?? [];
  const chosen = rows.find((gate) => gate.name === search.name && gate.key === (search.key ?? ""));
  const choose = (gate: GateShown | undefined) => void navigate({ search: { name: gate?.name, key: gate?.key || undefined } });
  const at = chosen ? rows.indexOf(chosen) : -1;
  useKeys({
    j: () => choose(rows[Math.min(rows.length - 1, at + 1)]),
    k: () => choose(rows[Math.max(0, at - 1)]),
  });
  const columns: Column<GateShown>[] = [
    { key: "state", head: "State", width: 128, cell: (gate) => <GateState gate={gate} /> },
    {
      key: "name",
      head: "Gate",
      cell: (gate) => (
        <Link to="/gates" search={{ name: gate.name, key: gate.key || undefined }} className="id">
          {gate.key ? `${gate.name} ${gate.key}` : gate.name}
        </Link>
      ),
    },
    {
      key: "limits",
      head: "Limits",
      from: 768,
      cell: (gate) => (
        <>
          {gate.kind === "breaker" ? "breaker" : gate.limits} {gate.is_changed && <Tag>changed</Tag>}
        </>
      ),
    },
    { key: "since", head: "Since", width: 112, num: true, from: 1024, cell: (gate) => <Time at={gate.since} /> },
    { key: "due", head: "Tries", width: 112, num: true, from: 768, cell: (gate) => gate.kind === "breaker" && <Ago at={gate.due} /> },
    { key: "failures", head: "Failures", width: 88, num: true, from: 1024, cell: (gate) => (gate.kind === "breaker" ? `${gate.failures} of ${gate.failures_max}` : "") },
    { key: "inside", head: "Inside", width: 72, num: true, from: 768, cell: (gate) => gate.inside.toLocaleString("en") },
    { key: "waiting", head: "Waiting", width: 80, num: true, cell: (gate) => gate.waiting.toLocaleString("en") },
  ];
  return (
    <Screen title="Gates" query={gates} count={String(rows.length)}>
      {rows.length === 0 ? (
        <Empty title="No gates">
          <p>Each gate and breaker is here once a step or a run has passed it.</p>
        </Empty>
      ) : (
        <div className={`split ${chosen ? "" : "split--plain"}`}>
          <div className="pane">
            <Table label="Gates" columns={columns} rows={rows} rowKey={(gate) => gate.id} selected={chosen?.id} onOpen={choose} />
          </div>
          {chosen && (
            <aside className="aside" aria-label={`Gate ${chosen.name}`}>
              <Panel key={chosen.id} gate={chosen} onAct={ask} onClose={() => choose(undefined)} />
            </aside>
          )}
        </div>
      )}
      {dialog}
    </Screen>
  );
}

const LIMITS: Schema = {
  type: "object",
  properties: {
    at_once: { type: "integer", minimum: 1, title: "At once", description: "How many may be inside." },
    rate: { type: "string", title: "Rate", description: "A count and a time, such as 10/1s." },
    burst: { type: "integer", minimum: 0, title: "Burst", description: "How many may begin at a moment beyond the rate." },
  },
};

function actsOf(gate: GateShown): Act[] {
  const at = `gates/${part(gate.name)}`;
  const named = gate.key ? `${gate.name} ${gate.key}` : gate.name;
  if (gate.kind === "breaker") {
    if (gate.state !== "open") return [];
    return [
      {
        title: `Probe ${named} now`,
        verb: "Probe now",
        asksReason: false,
        preview: <p className="hint">One attempt tries at once. If it succeeds the breaker closes, otherwise it stays open.</p>,
        run: () => post(`${at}/probe`),
      },
    ];
  }
  const set: Act = {
    title: `Change limits of ${named}`,
    verb: "Change limits",
    asksReason: false,
    preview: <p className="hint">{gate.limits} now. What is left empty stays; the change outlives deployments until it is reset.</p>,
    form: { schema: LIMITS },
    run: (_, value) => patch(at, { key: gate.key, ...(value as object) }),
  };
  const reset: Act = {
    title: `Reset limits of ${named}`,
    verb: "Reset limits",
    asksReason: false,
    preview: <p className="hint">Back to the limits of the code.</p>,
    run: () => post(`${at}/reset`, { key: gate.key }),
  };
  return gate.is_changed ? [set, reset] : [set];
}

function Panel({ gate, onAct, onClose }: { gate: GateShown; onAct: (act: Act) => void; onClose: () => void }) {
  const whole = useQuery({
    queryKey: ["runs", "gates", gate.name, gate.key],
    queryFn: ({ signal }) => get<GateWhole>(`gates/${part(gate.name)}`, { key: gate.key }, signal),
  });
  const places = whole.data?.places ?? [];
  const acts = useMay() ? actsOf(gate) : [];
  return (
    <>
      <div className="aside__head">
        <div className="row">
          <h2 className="mono cut">{gate.key ? `${gate.name} ${gate.key}` : gate.name}</h2>
          <GateState gate={gate} />
          <div className="right row">
            <ClosePanel onClick={onClose} />
          </div>
        </div>
      </div>
      <div className="aside__body" tabIndex={0} role="region" aria-label={`Details of ${gate.name}`}>
        {gate.kind === "breaker" && (
          <section className="sec">
            <dl className="kv">
              <dt>Failures</dt>
              <dd>
                {gate.failures} of {gate.failures_max}
              </dd>
              <dt>Since</dt>
              <dd>
                <Time at={gate.since} />, <Ago at={gate.since} />
              </dd>
              {gate.due && (
                <>
                  <dt>Tries</dt>
                  <dd>
                    <Time at={gate.due} />, <Ago at={gate.due} />
                  </dd>
                </>
              )}
            </dl>
          </section>
        )}
        {acts.length > 0 && (
          <section className="sec">
            <div className="sec__acts">
              {acts.map((act, i) => (
                <button key={act.verb} type="button" className={`btn ${i === 0 ? "btn--main" : ""}`} onClick={() => onAct(act)}>
                  {act.verb}…
                </button>
              ))}
            </div>
          </section>
        )}
        {whole.isError && <Failure problem={whole.error} onRetry={() => void whole.refetch()} />}
        {whole.isPending && <Skeleton rows={3} />}
        {whole.data && (
          <>
            <Places title="Inside" rows={places.filter((place) => place.is_inside)} count={gate.inside} />
            <Places title="Waiting, in order" rows={places.filter((place) => !place.is_inside)} count={gate.waiting} />
          </>
        )}
      </div>
    </>
  );
}

function Places({ title, rows, count }: { title: string; rows: GateWhole["places"]; count: number }) {
  return (
    <section className="sec">
      <h3 className="sec__h">
        {title} <span className="count">{count.toLocaleString("en")}</span>
      </h3>
      {rows.length === 0 ? (
        <p className="q3">nobody</p>
      ) : (
        <table className="tbl tbl--inset">
          <thead>
            <tr>
              <th scope="col">Run</th>
              <th scope="col" className="w-name">
                Step
              </th>
              <th scope="col" className="num w-time">
                Since
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((place) => (
              <tr key={`${place.run} ${place.step} ${place.attempt}`}>
                <td>
                  <Link className="id" to="/runs/$id" params={{ id: place.run }} search={{ step: place.step || undefined }} title={place.run}>
                    {place.run}
                  </Link>
                </td>
                <td className="mono">{place.step || "the run"}</td>
                <td className="num">
                  <Time at={place.since} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {rows.length < count && <p className="hint">The first {rows.length} are shown.</p>}
    </section>
  );
}
