/** The family of a run: a tree from the first ancestor, whose branches are read when they are opened, page by page. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { family, runsPage } from "../api/client";
import type { RunEntry, RunState } from "../api/models";
import { Failure } from "../api/problem";
import { Icon, Skeleton, State, Took } from "../parts/basics";
import { wayTo } from "../pure/family";

type Member = Pick<RunEntry, "id" | "workflow" | "status" | "word" | "parent_step" | "started" | "ended">;

export function Family({ run }: { run: RunState }) {
  const near = useQuery(family(run.id));
  if (near.isError) return <Failure problem={near.error} onRetry={() => void near.refetch()} />;
  if (near.isPending) return <Skeleton />;
  const path: Member[] = wayTo(near.data.runs, run.id);
  return (
    <div className="page__scroll" tabIndex={0} role="region" aria-label="Family">
      <ul className="tree">
        <Branch member={path[0]!} path={path.slice(1)} own={run.id} />
      </ul>
    </div>
  );
}

interface BranchProps {
  member: Member;
  /** The way from here down to the run whose family it is. */
  path: readonly Member[];
  own: string;
}

function Branch({ member, path, own }: BranchProps) {
  const [isOpen, setOpen] = useState(path.length > 0 || member.id === own);
  return (
    <li>
      <div className="tree__row" aria-current={member.id === own ? "true" : undefined}>
        <button type="button" className="tw" aria-expanded={isOpen} aria-label={`Children of ${member.id}`} onClick={() => setOpen(!isOpen)}>
          <Icon name={isOpen ? "down" : "right"} className="i-12" />
        </button>
        <State status={member.status} word={member.word} />
        <Link to="/runs/$id" params={{ id: member.id }} search={{ view: "family" }} className="id cut" title={member.id}>
          {member.id}
        </Link>
        <span className="mono q2 from-768">{member.workflow}</span>
        {member.parent_step && <span className="q3 from-768">from {member.parent_step}</span>}
        <span className="right">
          <Took from={member.started} to={member.ended} />
        </span>
      </div>
      {isOpen && <Children parent={member.id} path={path} own={own} />}
    </li>
  );
}

function Children({ parent, path, own }: { parent: string; path: readonly Member[]; own: string }) {
  const pages = useInfiniteQuery({
    queryKey: ["run", parent, "children"],
    queryFn: ({ pageParam, signal }) => runsPage({ parent, sort: "created" }, pageParam)(signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.following,
  });
  if (pages.isError) return <Failure problem={pages.error} onRetry={() => void pages.refetch()} />;
  if (pages.isPending) return <Skeleton rows={2} />;
  const rows: Member[] = pages.data.pages.flatMap((page) => page.runs);
  const [next] = path;
  // The way to the run is there whichever page it is on.
  const isPinned = next !== undefined && !rows.some((each) => each.id === next.id);
  if (rows.length === 0 && !isPinned) return <p className="tree__note q3">no children</p>;
  return (
    <ul className="tree">
      {rows.map((each) => (
        <Branch key={each.id} member={each} path={each.id === next?.id ? path.slice(1) : []} own={own} />
      ))}
      {pages.hasNextPage && (
        <li className="tree__note">
          <button type="button" className="link" disabled={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
            More children of {parent}
          </button>
        </li>
      )}
      {isPinned && <Branch key={next.id} member={next} path={path.slice(1)} own={own} />}
    </ul>
  );
}
