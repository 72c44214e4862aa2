/** Where the nodes of a graph are, asked of a worker once for each shape. */

import { wrap, type Remote } from "comlink";
import { useEffect, useMemo, useState } from "react";

import type { Drawn } from "../api/models";
import type { layout } from "../pure/layout";

export type Places = ReturnType<typeof layout>;
type Layout = Remote<typeof layout>;

let worker: Layout | undefined;

/** Return the layout of the worker, which starts with the first graph. */
function inWorker(): Layout {
  worker ??= wrap<typeof layout>(new Worker(new URL("./layout.worker.ts", import.meta.url), { type: "module" }));
  return worker;
}

/** Return the places of the nodes; undefined until they are known. States of nodes move none. */
export function usePlaces(drawn: Drawn, make: () => Layout = inWorker): Places | undefined {
  const shape = useMemo(() => JSON.stringify([drawn.nodes.map((each) => each.name), drawn.edges]), [drawn]);
  const [found, setFound] = useState<{ shape: string; places: Places }>();
  useEffect(() => {
    let isWanted = true;
    const edges = drawn.edges.map((each) => ({ from: each.source, to: each.target }));
    const nodes = drawn.nodes.map(({ name }) => ({ name }));
    void make()(nodes, edges).then((places) => isWanted && setFound({ shape, places }));
    return () => {
      isWanted = false;
    };
    // The shape stands for nodes and edges.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape]);
  // Until those of another shape are there, nodes that were there stay where they were.
  return found?.places;
}
