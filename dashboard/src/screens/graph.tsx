/** The graph of a run. Its text twin is the table of steps; above 300 nodes it asks first. */

import "@xyflow/react/dist/style.css";

import { Background, Controls, Handle, Position, ReactFlow, type Edge, type Node, type NodeProps } from "@xyflow/react";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import { get, part } from "../api/client";
import type { Drawn, RunState, StepState } from "../api/models";
import { Failure } from "../api/problem";
import { Empty, Icon, Skeleton } from "../parts/basics";
import { isSettled, look } from "../pure/look";
import { layout } from "../pure/layout";
import { duration, millis } from "../pure/time";

const MANY = 300;

type StepNode = Node<{ step?: StepState; name: string; isSelected: boolean; critical: boolean }, "step">;

function StepBox({ data }: NodeProps<StepNode>) {
  const { step, name } = data;
  const { icon, hue } = look(step?.status ?? "pending");
  const isOn = step && !isSettled(step.status) && step.status !== "pending";
  const isOff = !step || ["skipped", "pending", "cancelled"].includes(step.status);
  const from = millis(step?.started);
  const to = millis(step?.finished);
  const note = from !== undefined && to !== undefined ? duration(to - from) : (step?.status ?? "");
  return (
    <div className={`gnode ${hue} ${isOn || step?.status === "failed" ? "on" : ""} ${isOff ? "off" : ""} ${data.isSelected ? "sel" : ""}`}>
      <Handle type="target" position={Position.Top} isConnectable={false} />
      <Icon name={icon} className="fg" />
      <span className="two">
        <span className="id">{name}</span>
        <span className="s1 q3">
          {note}
          {step && step.attempt > 1 ? `, ${step.attempt} attempts` : ""}
        </span>
      </span>
      <Handle type="source" position={Position.Bottom} isConnectable={false} />
    </div>
  );
}

const TYPES = { step: StepBox };

export default function Graph(props: { run: RunState; selected?: string; onSelect: (name: string) => void }) {
  const { run, selected } = props;
  const [isWanted, setWanted] = useState(false);
  const graph = useQuery({
    queryKey: ["run", run.id, "graph"],
    queryFn: ({ signal }) => get<Drawn>(`runs/${part(run.id)}/graph`, {}, signal),
  });
  const shown = graph.data;
  const places = useMemo(() => (shown ? layout(shown.nodes, shown.edges.map((each) => ({ from: each.source, to: each.target }))) : new Map<string, { x: number; y: number }>()), [shown]);
  const steps = useMemo(() => new Map([...run.steps, ...run.helpers].map((step) => [step.name, step])), [run]);
  const nodes = useMemo(
    () =>
      (shown?.nodes ?? []).map((each): StepNode => {
        const step = steps.get(each.name);
        return {
          id: each.name,
          type: "step",
          position: places.get(each.name) ?? { x: 0, y: 0 },
          data: { step, name: each.name, isSelected: each.name === selected, critical: false },
          ariaLabel: `${each.name}, ${step?.status ?? "pending"}`,
          draggable: false,
          connectable: false,
        };
      }),
    [shown, places, steps, selected],
  );
  const edges = useMemo(
    () =>
      (shown?.edges ?? []).map((each): Edge => {
        const isDone = steps.get(each.source)?.status === "completed";
        return { id: `${each.source} ${each.target}`, source: each.source, target: each.target, className: isDone ? "edge--done" : "edge--off" };
      }),
    [shown, steps],
  );
  if (graph.isError) return <Failure problem={graph.error} onRetry={() => void graph.refetch()} />;
  if (graph.isPending) return <Skeleton />;
  if (nodes.length > MANY && !isWanted) {
    return (
      <Empty title={`${nodes.length.toLocaleString("en")} nodes`}>
        <p>A graph of this size is slow to draw and hard to read. The steps are also a table.</p>
        <button type="button" className="btn btn--small" onClick={() => setWanted(true)}>
          Draw it
        </button>
      </Empty>
    );
  }
  return (
    <div className="graph" role="region" aria-label="Graph of the run; the Steps view is the same as a table">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={TYPES}
        fitView
        fitViewOptions={{ maxZoom: 1 }}
        minZoom={0.1}
        nodesDraggable={false}
        nodesConnectable={false}
        onlyRenderVisibleElements
        onNodeClick={(_, node) => props.onSelect(node.id)}
        onSelectionChange={({ nodes: chosen }) => chosen[0] && chosen[0].id !== selected && props.onSelect(chosen[0].id)}
      >
        <Background gap={24} />
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  );
}
