/** A graph, drawn: nodes where the layout has put them, and only those that are in view. */

import "@xyflow/react/dist/style.css";

import { Background, Controls, Handle, Position, ReactFlow, type Edge, type Node, type NodeProps } from "@xyflow/react";
import { useMemo } from "react";

import type { Drawn, StepState } from "../api/models";
import { Icon, Skeleton } from "../parts/basics";
import { usePlaces } from "../parts/layout";
import { isSettled, look } from "../pure/look";
import { NODE } from "../pure/layout";
import { duration, millis } from "../pure/time";

type StepNode = Node<{ step?: StepState; name: string; kind: string; isSelected: boolean }, "step">;

function StepBox({ data }: NodeProps<StepNode>) {
  const { step, name, kind } = data;
  const { icon, hue } = look(step?.status ?? "pending");
  const isOn = step && !isSettled(step.status) && step.status !== "pending";
  const isOff = step && ["skipped", "pending", "cancelled"].includes(step.status);
  const from = millis(step?.started);
  const to = millis(step?.finished);
  const note = from !== undefined && to !== undefined ? duration(to - from) : (step?.status ?? kind);
  return (
    <div className={`gnode ${hue} ${isOn || step?.status === "failed" ? "on" : ""} ${isOff ? "off" : ""} ${data.isSelected ? "sel" : ""}`}>
      <Handle type="target" position={Position.Top} isConnectable={false} />
      {step && <Icon name={icon} className="fg" />}
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

export interface DrawingProps {
  drawn: Drawn;
  /** What is said to who cannot see it. */
  label: string;
  /** The steps of a run; none: the graph is that of a definition. */
  steps?: ReadonlyMap<string, StepState>;
  selected?: string;
  onSelect?: (name: string) => void;
}

export default function Drawing({ drawn, label, steps, selected, onSelect }: DrawingProps) {
  const places = usePlaces(drawn);
  const nodes = useMemo(
    () =>
      drawn.nodes.map((each): StepNode => {
        const step = steps?.get(each.name);
        return {
          id: each.name,
          type: "step",
          position: places?.get(each.name) ?? { x: 0, y: 0 },
          // Known beforehand, so that nothing is drawn to be measured.
          width: NODE.width,
          height: NODE.height,
          data: { step, name: each.name, kind: each.kind, isSelected: each.name === selected },
          ariaLabel: step ? `${each.name}, ${step.status}` : each.name,
          draggable: false,
          connectable: false,
        };
      }),
    [drawn, places, steps, selected],
  );
  const edges = useMemo(
    () =>
      drawn.edges.map((each): Edge => {
        const isOff = steps && steps.get(each.source)?.status !== "completed";
        return { id: `${each.source} ${each.target}`, source: each.source, target: each.target, className: isOff ? "edge--off" : "edge--done" };
      }),
    [drawn, steps],
  );
  if (!places) return <Skeleton />;
  return (
    <div className="graph" role="region" aria-label={label}>
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
        onNodeClick={(_, node) => onSelect?.(node.id)}
        onSelectionChange={({ nodes: chosen }) => chosen[0] && chosen[0].id !== selected && onSelect?.(chosen[0].id)}
      >
        <Background gap={24} />
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  );
}
