/** Runs: found by filters, which are the address, and acted on, one or all that match. */

import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";

import { PAGE, runsPage, statuses } from "../api/client";
import type { RunEntry } from "../api/models";
import { Failure } from "../api/problem";
import { Copy, Empty, Icon, Meter, Seg, Sentence, Skeleton, State, Time, Took } from "../parts/basics";
import { useKeys } from "../parts/keys";
import { Table, type Column } from "../parts/table";
import { changed, SINCE, toggled, tokens, typed, type RunsSearch } from "../pure/filters";
import { look, RUN_STATUSES } from "../pure/look";
import { Place } from "../pure/place";
import { counted } from "../pure/time";
import { useCommands } from "../shell/palette";
import { useMay } from "../shell/session";
import { Bulk } from "./bulk";
import { Views } from "./saved";
import { StartDialog } from "./start";

/** Pages that are kept of the list. */
const PAGES = 5;

export function Runs() {
  const search = useSearch({ from: "/runs" });
  const navigate = useNavigate({ from: "/runs" });
  const change = (next: RunsSearch) => void navigate({ search: next });
  const key = ["runs", "list", search];
  const queries = useQueryClient();
  const pages = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => runsPage(search, pageParam.after)(signal),
    initialPageParam: new Place(),
    getNextPageParam: (last, _, place) => (last.following === null ? undefined : new Place(last.following, place)),
    getPreviousPageParam: (_, __, place) => place.before,
    // So many are kept, and asked for again after a change, however far somebody has scrolled.
    maxPages: PAGES,
  });
  const counts = useQuery({ ...statuses(search), placeholderData: keepPreviousData });
  const rows = useMemo(() => pages.data?.pages.flatMap((page) => page.runs) ?? [], [pages.data]);

  const before = ((pages.data?.pageParams[0] as Place | undefined)?.index ?? 0) * PAGE;
  /** Go back to what was dropped: page by page, or to the beginning where that is far. */
  const goBack = (missing: number) => {
    if (missing > PAGES * PAGE) void queries.resetQueries({ queryKey: key, exact: true });
    else if (!pages.isFetching) void pages.fetchPreviousPage();
  };

  const [place, setPlace] = useState<string>();
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const [areFacetsOpen, setFacets] = useState(false);
  const [isStarting, setStarting] = useState(false);
  const mayAct = useMay();
  useEffect(() => setMarked(new Set()), [search]);
  const open = (run: RunEntry) => void navigate({ to: "/runs/$id", params: { id: run.id }, search: {} });
  const move = (by: number) => {
    const at = rows.findIndex((run) => run.id === place);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
    if (next) setPlace(next.id);
  };
  const mark = (id: string) => {
    const next = new Set(marked);
    if (!next.delete(id)) next.add(id);
    setMarked(next);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    Enter: () => {
      const run = rows.find((each) => each.id === place);
      if (run) open(run);
    },
    x: () => place && mark(place),
    "Ctrl a": () => setMarked(new Set(rows.map((run) => run.id))),
    f: () => setFacets(!areFacetsOpen),
  });
  useCommands([
    ...(mayAct ? [{ id: "start", group: "Do", title: "Start a run…", icon: "plus", run: () => setStarting(true) } as const] : []),
    { id: "failed", group: "Views", title: "Runs that failed", icon: "bookmark", run: () => change({ failed: true }) },
  ]);

  // What runs are marked with is shown as columns: the first three names of those that are loaded.
  const attributes = useMemo(() => [...new Set(rows.slice(0, 100).flatMap((run) => Object.keys(run.attributes)))].sort().slice(0, 3), [rows]);
  const sort = search.sort ?? "-created";
  const sorted = (by: string, title: string) => (
    <button
      type="button"
      className={`plain ${sort.endsWith(by) && sort.length - by.length < 2 ? "str" : ""}`}
      title={`Sort by ${title}`}
      onClick={() => change(changed(search, "sort", sort === `-${by}` ? by : `-${by}`))}
    >
      {title} {sort === by ? "↑" : sort === `-${by}` ? "↓" : ""}
    </button>
  );

  const columns: Column<RunEntry>[] = [
    {
      key: "mark",
      width: 44,
      from: 768,
      head: (
        <input
          type="checkbox"
          className="check"
          aria-label="Select all rows"
          checked={rows.length > 0 && marked.size === rows.length}
          onChange={() => setMarked(marked.size === rows.length ? new Set() : new Set(rows.map((run) => run.id)))}
        />
      ),
      cell: (run) => (
        <label className="tick">
          <input
            type="checkbox"
            className="check"
            aria-label={`Select ${run.id}`}
            checked={marked.has(run.id)}
            onChange={() => mark(run.id)}
          />
        </label>
      ),
    },
    { key: "state", head: "State", width: 210, cell: (run) => <State status={run.status} word={run.word} /> },
    {
      key: "run",
      head: "Run",
      width: 190,
      cell: (run) => (
        <Link to="/runs/$id" params={{ id: run.id }} className="id" title={run.id}>
          {run.id}
        </Link>
      ),
    },
    ...(search.workflow
      ? []
      : [{ key: "workflow", head: "Workflow", width: 110, from: 768, cell: (run: RunEntry) => <span className="id">{run.workflow}</span> }]),
    { key: "now", head: "Now, or why not", from: 1024, cell: (run) => <Now run={run} /> },
    {
      key: "steps",
      head: "Steps",
      width: 100,
      num: true,
      from: 1024,
      cell: (run) => (
        <>
          <Meter done={run.done} total={run.total} /> {run.done}/{run.total}
        </>
      ),
    },
    ...attributes.map(
      (name): Column<RunEntry> => ({
        key: `attribute ${name}`,
        head: sorted(name, name),
        width: 112,
        num: true,
        from: 1024,
        cell: (run) => <span className="mono">{shown(run.attributes[name])}</span>,
      }),
    ),
    { key: "took", head: sorted("duration", "Took"), width: 96, num: true, from: 1024, cell: (run) => <Took from={run.started} to={run.ended} /> },
    { key: "created", head: sorted("created", "Created"), width: 112, num: true, from: 768, cell: (run) => <Time at={run.created} /> },
  ];

  const total = counts.data ? Object.values(counts.data.counts).reduce((sum, each) => sum + each, 0) : undefined;
  const matching =
    counts.data && search.status ? search.status.reduce((sum, each) => sum + (counts.data.counts[each] ?? 0), 0) : total;
  return (
    <>
      <div className="page__head">
        <h1>Runs</h1>
        {matching !== undefined && (
          <span className="count">
            {counted(matching, counts.data?.is_exact ?? true)} match
          </span>
        )}
        <div className="right row">
          <Seg
            label="Created"
            value={search.since ?? ""}
            options={[...SINCE.map((each) => [each, each] as const), ["", "All"] as const]}
            onChange={(since) => change(changed(search, "since", since || undefined))}
          />
          {mayAct && (
            <button type="button" className="btn btn--main" onClick={() => setStarting(true)}>
              <Icon name="plus" /> Start a run
            </button>
          )}
        </div>
      </div>
      <Views search={search} onChange={change} />
      <Filters search={search} onChange={change} onFacets={() => setFacets(!areFacetsOpen)} />
      <div className="runs has-bulk">
        <Facets search={search} counts={counts.data?.counts} onChange={change} isOpen={areFacetsOpen} />
        <div className="pane grow">
          {pages.isError ? (
            <Empty title="The list could not be read">
              <Failure problem={pages.error} onRetry={() => void pages.refetch()} />
            </Empty>
          ) : pages.isPending ? (
            <Skeleton rows={12} />
          ) : rows.length === 0 ? (
            <Nothing search={search} onChange={change} onStart={mayAct ? () => setStarting(true) : undefined} />
          ) : (
            <Table
              label="Runs"
              columns={columns}
              rows={rows}
              rowKey={(run) => run.id}
              selected={place}
              marked={marked}
              onOpen={open}
              before={before}
              onStart={goBack}
              onEnd={() => pages.hasNextPage && !pages.isFetching && void pages.fetchNextPage()}
              foot={pages.isFetchingNextPage ? <Skeleton rows={2} /> : undefined}
            />
          )}
        </div>
        {(marked.size > 0 || (tokens(search).length > 0 && rows.length > 0)) && (
          <Bulk search={search} marked={rows.filter((run) => marked.has(run.id))} counts={counts.data} matching={matching} onClear={() => setMarked(new Set())} />
        )}
      </div>
      {isStarting && <StartDialog workflow={search.workflow} onClose={() => setStarting(false)} />}
    </>
  );
}

function shown(value: unknown): string {
  if (value === undefined) return "";
  return typeof value === "number" ? value.toLocaleString("en") : String(value);
}

/** What a run is at, or what keeps it: the server's reason, else the failure. */
function Now({ run }: { run: RunEntry }) {
  if (run.reason) {
    return (
      <span title={run.reason.replaceAll("`", "")}>
        <Sentence text={run.reason} />
      </span>
    );
  }
  if (!run.failure) return null;
  return (
    <span className="q2" title={run.failure.message}>
      <code>{run.failure.code}</code>: {run.failure.message}
    </span>
  );
}

function Filters(props: { search: RunsSearch; onChange: (next: RunsSearch) => void; onFacets: () => void }) {
  const { search, onChange } = props;
  const field = useRef<HTMLInputElement>(null);
  const shown = tokens(search);
  return (
    <div className="filters">
      <button type="button" className="btn facs__open" onClick={props.onFacets}>
        <Icon name="columns" /> Filters
      </button>
      {shown.map((each) => (
        <span key={each.name} className="token">
          {each.label && <span>{each.label}</span>}
          <b>{each.value}</b>
          <button
            type="button"
            aria-label={`Remove filter ${each.label} ${each.value}`}
            onClick={() => onChange(changed(search, each.name, undefined))}
          >
            <Icon name="x" className="i-12" />
          </button>
        </span>
      ))}
      <form
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          if (!field.current) return;
          onChange(typed(search, field.current.value));
          field.current.value = "";
        }}
      >
        <Icon name="search" className="q3" />
        <input
          ref={field}
          data-find
          aria-label="Add a filter, or search in inputs"
          placeholder="workflow:order tag:vip status:failed, or a text in the input"
          onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
        />
      </form>
      {shown.length > 0 && (
        <>
          <button type="button" className="link" onClick={() => onChange({})}>
            Clear
          </button>
          <Copy text={location.href} label="Copy a link to this list">
            Copy link
          </Copy>
        </>
      )}
    </div>
  );
}

function Facets(props: {
  search: RunsSearch;
  counts: Record<string, number> | undefined;
  onChange: (next: RunsSearch) => void;
  isOpen: boolean;
}) {
  return (
    <form className={`facs ${props.isOpen ? "is-open" : ""}`} aria-label="Filters">
      <fieldset>
        <legend>State</legend>
        {RUN_STATUSES.map((status) => {
          const { icon, hue } = look(status);
          return (
            <label key={status} className="fac">
              <input
                type="checkbox"
                className="check"
                checked={props.search.status?.includes(status) ?? false}
                onChange={() => props.onChange(toggled(props.search, status))}
              />
              <span className={`state ${hue}`}>
                <Icon name={icon} />
                {status.replaceAll("_", " ")}
              </span>
              <span className="num">{props.counts ? (props.counts[status] ?? 0).toLocaleString("en") : ""}</span>
            </label>
          );
        })}
      </fieldset>
    </form>
  );
}

function Nothing(props: { search: RunsSearch; onChange: (next: RunsSearch) => void; onStart?: () => void }) {
  const shown = tokens(props.search);
  if (shown.length === 0) {
    return (
      <Empty title="Nothing yet">
        <p>No run has been started. Start one here, or with the command:</p>
        <pre className="code">stream-durable runs start WORKFLOW --input {"'{}'"}</pre>
        {props.onStart && (
          <button type="button" className="btn btn--small" onClick={props.onStart}>
            Start a run
          </button>
        )}
      </Empty>
    );
  }
  return (
    <Empty title="Nothing matches">
      <p>No run matches {shown.map((each) => `${each.label} ${each.value}`.trim()).join(", ")}.</p>
      <div className="row">
        {shown.map((each) => (
          <button
            key={each.name}
            type="button"
            className="btn btn--small"
            onClick={() => props.onChange(changed(props.search, each.name, undefined))}
          >
            Without {each.label || each.value}
          </button>
        ))}
        <button type="button" className="btn btn--small" onClick={() => props.onChange({})}>
          Clear all
        </button>
      </div>
    </Empty>
  );
}
