/** Places of nodes in layers: each below all it comes after, near the mean of what it comes after. */

export interface LayoutNode {
  name: string;
}

export interface LayoutEdge {
  from: string;
  to: string;
}

export const NODE = { width: 192, height: 40, gap: 40, drop: 40 };

export function layout(nodes: readonly LayoutNode[], edges: readonly LayoutEdge[]): Map<string, { x: number; y: number }> {
  const layer = layersOf(nodes, edges);
  const before = new Map<string, string[]>();
  for (const each of edges) {
    const known = before.get(each.to);
    if (known) known.push(each.from);
    else before.set(each.to, [each.from]);
  }
  const rows: string[][] = [];
  for (const node of nodes) (rows[layer.get(node.name) ?? 0] ??= []).push(node.name);
  const at = new Map<string, { x: number; y: number }>();
  rows.forEach((row, depth) => {
    const wish = new Map(
      row.map((name, i) => {
        const above = (before.get(name) ?? []).map((each) => at.get(each)?.x).filter((x) => x !== undefined);
        return [name, above.length ? above.reduce((sum, x) => sum + x, 0) / above.length : i * 1e-6];
      }),
    );
    const ordered = row.map((name, i) => ({ name, i, x: wish.get(name)! })).sort((a, b) => a.x - b.x || a.i - b.i);
    const step = NODE.width + NODE.gap;
    const middle = ordered.reduce((sum, each) => sum + each.x, 0) / Math.max(1, ordered.length);
    ordered.forEach((each, i) => {
      at.set(each.name, {
        x: middle + (i - (ordered.length - 1) / 2) * step,
        y: depth * (NODE.height + NODE.drop),
      });
    });
  });
  return at;
}

/** The longest way to each node; what is in a cycle ends where it was met. */
function layersOf(nodes: readonly LayoutNode[], edges: readonly LayoutEdge[]): Map<string, number> {
  const after = new Map<string, string[]>();
  const open = new Map(nodes.map((node) => [node.name, 0]));
  for (const each of edges) {
    if (!open.has(each.from) || !open.has(each.to) || each.from === each.to) continue;
    open.set(each.to, open.get(each.to)! + 1);
    const known = after.get(each.from);
    if (known) known.push(each.to);
    else after.set(each.from, [each.to]);
  }
  const layer = new Map(nodes.map((node) => [node.name, 0]));
  const ready = nodes.filter((node) => open.get(node.name) === 0).map((node) => node.name);
  for (let i = 0; i < ready.length; i++) {
    const name = ready[i]!;
    for (const next of after.get(name) ?? []) {
      layer.set(next, Math.max(layer.get(next)!, layer.get(name)! + 1));
      open.set(next, open.get(next)! - 1);
      if (open.get(next) === 0) ready.push(next);
    }
  }
  return layer;
}
