/** Records that could not be applied: a list, one whole with what may help, and given again. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { get, part, post } from "../api/client";
import type { DeadRecord, DeadRecords, DeadWhole } from "../api/models";
import { Failure } from "../api/problem";
import { Ago, ClosePanel, Skeleton, Time } from "../parts/basics";
import type { Act } from "../parts/dialog";
import { Json } from "../parts/json";
import { useMay } from "../shell/session";

/** Where it stood: what never was on a topic has no offset. */
function placeOf(record: DeadRecord): string {
  if (record.offset < 0) return record.topic || "unknown";
  return `${record.topic}, partition ${record.partition}, offset ${record.offset.toLocaleString("en")}`;
}

function given(record: DeadRecord): string {
  return record.redriven ? `given again by ${record.redriven.by || "somebody"}` : "";
}

export function DeadTable({ chosen }: { chosen: string | undefined }) {
  const pages = useInfiniteQuery({
    queryKey: ["dead", "list"],
    queryFn: ({ pageParam, signal }) => get<DeadRecords>("dead", { limit: 100, after: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.following,
    // Pages further back are read anew only when asked for.
    refetchInterval: (query) => (query.state.data && query.state.data.pages.length > 1 ? false : 30_000),
  });
  const rows = pages.data?.pages.flatMap((page) => page.records) ?? [];
  return (
    <section aria-labelledby="dead">
      <h2 className="sec__h" id="dead">
        Records that could not be applied{" "}
        <span className="count">
          {rows.length.toLocaleString("en")}
          {pages.hasNextPage && "+"}
        </span>
      </h2>
      {pages.isError && <Failure problem={pages.error} onRetry={() => void pages.refetch()} />}
      {pages.isPending && <Skeleton rows={3} />}
      {pages.data && rows.length === 0 && <p className="q2">{pages.hasNextPage ? "None among the newest." : "None."}</p>}
      {rows.length > 0 && (
        <table className="tbl">
          <thead>
            <tr>
              <th scope="col" className="w-time">
                Time
              </th>
              <th scope="col" className="w-time">
                Id
              </th>
              <th scope="col" className="w-name from-768">
                Topic
              </th>
              <th scope="col" className="w-name from-768">
                Key
              </th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((each) => (
              <tr key={each.id} aria-selected={each.id === chosen}>
                <td>
                  <Time at={each.time} />
                </td>
                <td>
                  <Link className="id" to="/stream" search={{ record: each.id }} title={placeOf(each)}>
                    {each.id}
                  </Link>
                </td>
                <td className="mono from-768" title={placeOf(each)}>
                  {each.topic}
                </td>
                <td className="mono from-768" title={each.key ?? undefined}>
                  {each.key}
                </td>
                <td title={each.reason}>
                  {each.redriven && <span className="q3">{given(each)} · </span>}
                  <code>{each.code}</code>: {each.reason}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {pages.hasNextPage && (
        <button type="button" className="btn" disabled={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
          {pages.isFetchingNextPage ? "Looking…" : "Show older ones"}
        </button>
      )}
    </section>
  );
}

function redrive(record: DeadRecord): Act {
  return {
    title: `Give record ${record.id} again`,
    verb: "Give again",
    preview: (
      <p className="hint">
        It is put on the inbox again, from {placeOf(record)}. If it still cannot be applied, it is listed anew. It is given once: a repeat does
        nothing.
      </p>
    ),
    run: (reason) => post(`dead/${part(record.id)}/redrive`, { reason }),
  };
}

export function DeadPanel({ id, onAct, onClose }: { id: string; onAct: (act: Act) => void; onClose: () => void }) {
  const found = useQuery({
    queryKey: ["dead", "record", id],
    queryFn: ({ signal }) => get<DeadWhole>(`dead/${part(id)}`, {}, signal),
  });
  return (
    <>
      <div className="aside__head">
        <div className="row">
          <h2 className="mono cut">{id}</h2>
          <div className="right row">
            <ClosePanel onClick={onClose} />
          </div>
        </div>
      </div>
      <div className="aside__body" tabIndex={0} role="region" aria-label={`Details of record ${id}`}>
        {found.isError && <Failure problem={found.error} onRetry={() => void found.refetch()} />}
        {found.isPending && <Skeleton rows={4} />}
        {found.data && <Details record={found.data} onAct={onAct} />}
      </div>
    </>
  );
}

function Details({ record, onAct }: { record: DeadWhole; onAct: (act: Act) => void }) {
  const mayAct = useMay();
  const act = redrive(record);
  return (
    <>
      <section className="sec">
        <p>
          <code>{record.code}</code>: {record.reason}
        </p>
        <p className="q2">{record.remedy}</p>
        {record.redriven && (
          <p className="q2">
            It was {given(record)}
            {record.redriven.reason && `: ${record.redriven.reason}`}, <Ago at={record.redriven.at} />.
          </p>
        )}
        {mayAct && record.can_redrive && !record.redriven && (
          <div className="sec__acts">
            <button type="button" className="btn btn--main" onClick={() => onAct(act)}>
              {act.verb}…
            </button>
          </div>
        )}
      </section>
      <section className="sec">
        <dl className="kv">
          <dt>From</dt>
          <dd>{placeOf(record)}</dd>
          {record.key !== null && (
            <>
              <dt>Key</dt>
              <dd className="mono">{record.key}</dd>
            </>
          )}
          {record.written && (
            <>
              <dt>Written</dt>
              <dd>
                <Time at={record.written} />, <Ago at={record.written} />
              </dd>
            </>
          )}
          <dt>Set aside</dt>
          <dd>
            <Time at={record.time} />, <Ago at={record.time} />
          </dd>
          {record.headers.map((each, i) => (
            <Header key={i} name={each.name} value={each.value} />
          ))}
        </dl>
      </section>
      <section className="sec">
        <h3 className="sec__h">
          Value <span className="count">{record.bytes === null ? "none" : `${record.bytes.toLocaleString("en")} bytes`}</span>
        </h3>
        {record.value === null ? <p className="q3">It is not kept here.</p> : <Json value={read(record.value)} label="Value" />}
      </section>
    </>
  );
}

function Header({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt className="mono">{name}</dt>
      <dd className="mono">{value}</dd>
    </>
  );
}

/** JSON as a value, so that it is laid out; anything else as it is. */
function read(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
