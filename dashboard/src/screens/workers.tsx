/** Workers and queues: who takes commands, what is under way, and what is paused by whom. */

import { useQuery } from "@tanstack/react-query";

import { get, part, post } from "../api/client";
import type { Queues, QueueState, Workers as WorkerList, WorkerState } from "../api/models";
import { Failure } from "../api/problem";
import { useActs } from "../parts/acting";
import { Ago, Empty, Icon, Skeleton, Tag, Time } from "../parts/basics";
import type { Act } from "../parts/dialog";
import { Table, type Column } from "../parts/table";
import { Doers } from "../shell/session";

export function Workers() {
  const [ask, dialog] = useActs(["runs", "queues"]);
  const workers = useQuery({
    queryKey: ["runs", "workers"],
    queryFn: ({ signal }) => get<WorkerList>("workers", {}, signal),
  });
  const queues = useQuery({
    queryKey: ["runs", "queues"],
    queryFn: ({ signal }) => get<Queues>("queues", {}, signal),
  });
  const problem = workers.error ?? queues.error;
  const there = workers.data?.workers.filter((each) => !each.is_gone).length ?? 0;
  return (
    <>
      <div className="page__head">
        <h1>Workers and queues</h1>
        {workers.data && <span className="count">{there.toLocaleString("en")} at work</span>}
      </div>
      {problem ? (
        <Empty title="This could not be read">
          <Failure problem={problem} onRetry={() => void Promise.all([workers.refetch(), queues.refetch()])} />
        </Empty>
      ) : !workers.data || !queues.data ? (
        <Skeleton />
      ) : (
        <div className="page__scroll" tabIndex={0} role="region" aria-label="Workers and queues">
          <div className="over over--flat">
            <section>
              <h2 className="sec__h">
                Queues <span className="count">{queues.data.queues.length}</span>
              </h2>
              <QueueTable rows={queues.data.queues} onAct={ask} />
            </section>
            <section>
              <h2 className="sec__h">
                Workers <span className="count">{workers.data.workers.length}</span>
              </h2>
              <WorkerTable rows={workers.data.workers} />
            </section>
          </div>
        </div>
      )}
      {dialog}
    </>
  );
}

/** Pause it, and wait until what is under way has ended: before a worker is taken away. */
function drain(queue: QueueState): Act {
  return {
    title: `Drain queue ${queue.name}`,
    verb: "Drain",
    preview: (
      <p className="hint">
        It is paused, and the answer comes when the {queue.running.toLocaleString("en")} under way have ended, or after 10 s. The page shows what is left.
      </p>
    ),
    run: (reason) => post(`queues/${part(queue.name)}/drain`, { reason }),
  };
}

function turn(queue: QueueState): Act {
  const at = `queues/${part(queue.name)}`;
  if (queue.paused) {
    return { title: `Resume queue ${queue.name}`, verb: "Resume", asksReason: false, run: () => post(`${at}/resume`) };
  }
  return {
    title: `Pause queue ${queue.name}`,
    verb: "Pause",
    preview: (
      <p className="hint">
        {queue.running.toLocaleString("en")} under way end; {queue.waiting.toLocaleString("en")} wait, and nothing new begins until somebody resumes it.
      </p>
    ),
    run: (reason) => post(`${at}/pause`, { reason }),
  };
}

function QueueTable({ rows, onAct }: { rows: readonly QueueState[]; onAct: (act: Act) => void }) {
  if (rows.length === 0) return <p className="q2">No worker has read a queue yet, and none was paused.</p>;
  const columns: Column<QueueState>[] = [
    {
      key: "state",
      head: "State",
      width: 140,
      cell: (queue) =>
        queue.paused ? (
          <span className="state amber">
            <Icon name="s-paused" /> paused
          </span>
        ) : queue.workers.length === 0 ? (
          <span className="state amber">
            <Icon name="s-blocked" /> nobody
          </span>
        ) : (
          <span className="state green">
            <Icon name="s-completed" /> read
          </span>
        ),
    },
    { key: "name", head: "Queue", width: 200, cell: (queue) => <span className="id">{queue.name}</span> },
    {
      key: "why",
      head: "Paused by, or read and resumed by",
      from: 768,
      cell: (queue) =>
        queue.paused ? (
          <>
            {queue.paused.by && `${queue.paused.by}, `}
            <Ago at={queue.paused.at} />
            {queue.paused.reason && `: ${queue.paused.reason}`}
          </>
        ) : (
          <>
            <span className="mono q2">{queue.workers.join(", ")}</span>
            {queue.orders.map((order) => (
              <span key={order.act} className="q2">
                {queue.workers.length > 0 && ", "}resumed {order.by && `by ${order.by}, `}
                <Ago at={order.at} />
                {order.reason && `: ${order.reason}`}
              </span>
            ))}
          </>
        ),
    },
    { key: "running", head: "Running", width: 88, num: true, from: 768, cell: (queue) => queue.running.toLocaleString("en") },
    { key: "waiting", head: "Waiting", width: 88, num: true, from: 768, cell: (queue) => queue.waiting.toLocaleString("en") },
    {
      key: "act",
      head: <span className="vh">Acts</span>,
      width: 152,
      num: true,
      cell: (queue) => (
        <Doers>
          <span className="acts">
          {!queue.paused && (
            <button type="button" className="link" aria-label={drain(queue).title} onClick={() => onAct(drain(queue))}>
              Drain…
            </button>
          )}
          <button type="button" className="link" aria-label={turn(queue).title} onClick={() => onAct(turn(queue))}>
            {turn(queue).verb}…
          </button>
          </span>
        </Doers>
      ),
    },
  ];
  return <Table label="Queues" columns={columns} rows={rows} rowKey={(queue) => queue.name} />;
}

function WorkerTable({ rows }: { rows: readonly WorkerState[] }) {
  if (rows.length === 0) {
    return (
      <Empty title="No worker is there">
        <p>Commands wait until one reads their queue:</p>
        <pre className="code">stream-durable worker shop:app</pre>
      </Empty>
    );
  }
  const columns: Column<WorkerState>[] = [
    {
      key: "state",
      head: "State",
      width: 140,
      cell: (worker) =>
        worker.is_gone ? (
          <span className="state grey">
            <Icon name="s-cancelled" /> gone
          </span>
        ) : (
          <span className="state green">
            <Icon name="s-completed" /> at work
          </span>
        ),
    },
    {
      key: "name",
      head: "Worker",
      width: 240,
      cell: (worker) => (
        <span className="id" title={worker.name}>
          {worker.name}
        </span>
      ),
    },
    { key: "queues", head: "Queues", from: 768, cell: (worker) => <span className="mono q2">{worker.queues.join(", ")}</span> },
    { key: "version", head: "Release", width: 96, from: 1024, cell: (worker) => <span className="mono q2">{worker.version}</span> },
    {
      key: "workflows",
      head: "Workflows",
      from: 1024,
      cell: (worker) => (
        <span className="names">
          {Object.entries(worker.workflows).map(([name, fingerprint]) => (
            <Tag key={name}>
              <span className="mono">
                {name} {fingerprint.slice(0, 7)}
              </span>
            </Tag>
          ))}
        </span>
      ),
    },
    {
      key: "places",
      head: "Places taken",
      width: 112,
      num: true,
      from: 768,
      cell: (worker) => `${worker.running.toLocaleString("en")} of ${worker.concurrency.toLocaleString("en")}`,
    },
    { key: "waiting", head: "Waiting", width: 80, num: true, from: 768, cell: (worker) => worker.waiting.toLocaleString("en") },
    { key: "seen", head: "Seen", width: 112, num: true, cell: (worker) => <Time at={worker.seen} /> },
  ];
  return <Table label="Workers" columns={columns} rows={rows} rowKey={(worker) => worker.name} />;
}
