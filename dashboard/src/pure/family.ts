/** The way down to a run from the first of its ancestors that are there. */

interface Member {
  id: string;
  parent: string | null;
}

export function wayTo<M extends Member>(members: readonly M[], id: string): M[] {
  const known = new Map(members.map((each) => [each.id, each]));
  const way: M[] = [];
  for (let each = known.get(id); each && way.length <= members.length; each = known.get(each.parent ?? "")) way.unshift(each);
  return way;
}
