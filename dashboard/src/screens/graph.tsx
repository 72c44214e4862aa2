/** The graph of a run or of a definition. Its text twin is a table; above 300 nodes it asks first. */

import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useMemo, useState } from "react";

import { get, part } from "../api/client";
import type { Drawn, RunState } from "../api/models";
import { Failure } from "../api/problem";
import { Empty, Skeleton } from "../parts/basics";
import type { DrawingProps } from "./drawing";

const Drawing = lazy(() => import("./drawing"));

const MANY = 300;

export function Graph(props: DrawingProps) {
  const [isWanted, setWanted] = useState(false);
  const count = props.drawn.nodes.length;
  if (count > MANY && !isWanted) {
    return (
      <Empty title={`${count.toLocaleString("en")} nodes`}>
        <p>A graph of this size is hard to read. The steps are also a table.</p>
        <button type="button" className="btn btn--small" onClick={() => setWanted(true)}>
          Draw it
        </button>
      </Empty>
    );
  }
  return (
    <Suspense fallback={<Skeleton />}>
      <Drawing {...props} />
    </Suspense>
  );
}

export function RunGraph({ run, selected, onSelect }: { run: RunState; selected?: string; onSelect: (name: string) => void }) {
  const graph = useQuery({
    queryKey: ["run", run.id, "graph"],
    queryFn: ({ signal }) => get<Drawn>(`runs/${part(run.id)}/graph`, {}, signal),
  });
  const steps = useMemo(() => new Map([...run.steps, ...run.helpers].map((step) => [step.name, step])), [run]);
  if (graph.isError) return <Failure problem={graph.error} onRetry={() => void graph.refetch()} />;
  if (graph.isPending) return <Skeleton />;
  return <Graph drawn={graph.data} label="Graph of the run; the Steps view is the same as a table" steps={steps} selected={selected} onSelect={onSelect} />;
}
