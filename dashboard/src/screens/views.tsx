/** The other views of a run: steps, logs, history, values. */

import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";

import { attempts, history } from "../api/client";
import type { Happening, RunState, StepState } from "../api/models";
import { Failure } from "../api/problem";
import { Copy, Empty, Seg, Skeleton, State, Time, Took } from "../parts/basics";
import { Json } from "../parts/json";
import { useFound } from "../parts/slices";
import { Table, type Column } from "../parts/table";
import { beginning } from "../pure/lines";
import { precise } from "../pure/time";
import { OutputsSoFar, ReadValue } from "./early";
import { Level } from "./panel";

export function StepsTable(props: { run: RunState; selected?: string; onSelect: (name: string) => void }) {
  const columns: Column<StepState>[] = [
    { key: "state", head: "State", width: 232, cell: (step) => <State status={step.status} /> },
    {
      key: "step",
      head: "Step",
      width: 240,
      cell: (step) => (
        <button type="button" className="plain id" onClick={() => props.onSelect(step.name)}>
          {step.name}
        </button>
      ),
    },
    { key: "kind", head: "Kind", width: 100, from: 1024, cell: (step) => <span className="q3">{step.kind}</span> },
    { key: "attempt", head: "Attempt", width: 72, num: true, from: 768, cell: (step) => step.attempt || "" },
    {
      key: "now",
      head: "Output, or why not",
      from: 768,
      cell: (step) => <Said step={step} />,
    },
    { key: "took", head: "Took", width: 104, num: true, cell: (step) => <Took from={step.started} to={step.finished} /> },
    { key: "started", head: "Started", width: 112, num: true, from: 768, cell: (step) => <Time at={step.started} /> },
  ];
  return (
    <Table
      label="Steps"
      columns={columns}
      rows={[...props.run.steps, ...props.run.helpers]}
      rowKey={(step) => step.name}
      selected={props.selected}
      onOpen={(step) => props.onSelect(step.name)}
    />
  );
}

function Said({ step }: { step: StepState }) {
  if (step.failure) {
    return (
      <span title={step.failure.message}>
        <code>{step.failure.code}</code>: {step.failure.message}
      </span>
    );
  }
  if (step.waits_for.length) return <span className="q2">{step.waits_for.map((each) => each.text).join(", ")}</span>;
  if (step.output === null || step.output === undefined) return null;
  return <span className="mono q2">{beginning(step.output, 200)}</span>;
}

const LINE = 20;

export function Logs({ id }: { id: string }) {
  const tries = useQuery(attempts(id));
  const [text, setText] = useState("");
  const scroller = useRef<HTMLDivElement>(null);
  const all = useMemo(() => {
    const every = (tries.data?.attempts ?? []).flatMap((each) => each.logs.map((line) => ({ line, at: Date.parse(line.time) })));
    return every.sort((a, b) => a.at - b.at);
  }, [tries.data]);
  const [lines, isLooking] = useFound(all, text.toLowerCase(), ({ line }, wanted) => `${line.step} ${line.level} ${line.text}`.toLowerCase().includes(wanted));
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE,
    overscan: 20,
  });
  const whole = () => lines.map(({ line }) => `${line.time} ${line.level} ${line.step}/${line.attempt} ${line.text}`).join("\n");
  if (tries.isError) return <Failure problem={tries.error} onRetry={() => void tries.refetch()} />;
  if (tries.isPending) return <Skeleton />;
  return (
    <>
      <div className="filters">
        <form role="search" onSubmit={(event) => event.preventDefault()}>
          <input
            data-find
            aria-label="Find in logs"
            placeholder="Find in logs"
            value={text}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
          />
        </form>
        <span className="count">
          {lines.length.toLocaleString("en")} {lines.length === 1 ? "line" : "lines"}
        </span>
        {lines.length > 0 && (
          <Copy text={whole} label="Copy all lines">
            Copy all
          </Copy>
        )}
        <button
          type="button"
          className="link"
          onClick={() => {
            const link = document.createElement("a");
            link.href = URL.createObjectURL(new Blob([whole()], { type: "text/plain" }));
            link.download = `${id}.log`;
            link.click();
            URL.revokeObjectURL(link.href);
          }}
        >
          Download
        </button>
      </div>
      {lines.length === 0 ? (
        <Empty title={isLooking ? "Looking" : text ? "No line has that" : "No lines"}>
          <p>What steps write by logging, ctx.log or print is shown here.</p>
        </Empty>
      ) : (
        <div className={`scroll grow ${isLooking ? "is-dim" : ""}`} ref={scroller} tabIndex={0} role="region" aria-label="Log lines">
          <div className="logs" style={{ height: virtual.getTotalSize() }}>
            {virtual.getVirtualItems().map((item) => {
              const { line, at } = lines[item.index]!;
              return (
                <div key={item.index} style={{ transform: `translateY(${item.start}px)` }}>
                  <time className="q3">{precise(at)}</time>
                  <Level level={line.level} />
                  <span className="q2 cut" title={`${line.step}, attempt ${line.attempt}`}>
                    {line.step}/{line.attempt}
                  </span>
                  <span className="cut" title={line.text}>
                    {line.text}
                  </span>
                </div>
              );
            })}
          </div>
        </div>
      )}
    </>
  );
}

export function HistoryView({ id, onSelect }: { id: string; onSelect: (name: string) => void }) {
  const [which, setWhich] = useState<"course" | "all">("course");
  const found = useQuery(history(id, which === "all"));
  const columns: Column<Happening & { key: string }>[] = [
    { key: "time", head: "Time", width: 132, cell: (one) => <time className="tab">{precise(Date.parse(one.time))}</time> },
    { key: "what", head: "What", width: 160, cell: (one) => one.what },
    {
      key: "step",
      head: "Step",
      width: 200,
      cell: (one) =>
        one.step ? (
          <button type="button" className="plain id" onClick={() => onSelect(one.step)}>
            {one.step}
          </button>
        ) : (
          <span className="q3">the run</span>
        ),
    },
    { key: "by", head: "By", width: 160, from: 768, cell: (one) => <span className="mono">{one.by}</span> },
    { key: "text", head: "Text", from: 768, cell: (one) => <span title={one.text}>{one.text}</span> },
  ];
  if (found.isError) return <Failure problem={found.error} onRetry={() => void found.refetch()} />;
  const rows = (found.data?.happenings ?? []).map((one, i) => ({ ...one, key: String(i) }));
  return (
    <>
      <div className="tl__bar">
        <Seg
          label="What is shown"
          value={which}
          options={[
            ["course", "What happened"],
            ["all", "With what changed nothing"],
          ]}
          onChange={setWhich}
        />
        <span className="count">{rows.length.toLocaleString("en")}</span>
      </div>
      {found.isPending ? <Skeleton /> : <Table label="History" columns={columns} rows={rows} rowKey={(one) => one.key} />}
    </>
  );
}

export function InAndOut({ run }: { run: RunState }) {
  const parts: [string, unknown][] = [
    ["Input", run.input],
    ["Output", run.output],
    ["Context", run.context],
    ["Metadata", run.metadata],
    ["Failure", run.failure],
  ];
  const shown = parts.filter(([, value]) => value !== null && value !== undefined && beginning(value, 3) !== "{}");
  return (
    <div className="page__scroll" tabIndex={0} role="region" aria-label="Input and output">
      <div className="over io">
        {shown.map(([name, value]) => (
          <section key={name}>
            <h2 className="sec__h">{name}</h2>
            <Json value={value} label={name.toLowerCase()} />
          </section>
        ))}
        <OutputsSoFar run={run} />
        <ReadValue run={run} />
      </div>
    </div>
  );
}
