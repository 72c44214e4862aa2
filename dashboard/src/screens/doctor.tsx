/** The doctor: what is wrong with the instance, why, and what to do; repairs that are safe are made from here. */

import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { get, post } from "../api/client";
import type { Finding, Findings, Repairs } from "../api/models";
import { Failure } from "../api/problem";
import { useActs } from "../parts/acting";
import { Empty, Icon, Sentence, Skeleton, Tag } from "../parts/basics";
import type { Act } from "../parts/dialog";
import { repairsOf } from "../pure/repairs";
import { useMay } from "../shell/session";

export interface DoctorSearch {
  check?: string;
}

export function Doctor() {
  const { check } = useSearch({ from: "/doctor" });
  const navigate = useNavigate({ from: "/doctor" });
  const queries = useQueryClient();
  const mayRepair = useMay("admin");
  const [ask, dialog] = useActs(["doctor"]);
  const [done, setDone] = useState<Repairs>();
  const pages = useInfiniteQuery({
    queryKey: ["doctor", check],
    queryFn: ({ pageParam, signal }) => get<Findings>("doctor", { check, limit: 1_000, after: pageParam }, signal),
    initialPageParam: 0,
    getNextPageParam: (last) => last.following,
    // It reads every open run: it is asked for, and not again by itself.
    staleTime: 60_000,
    refetchInterval: false,
    refetchOnWindowFocus: false,
  });
  const first = pages.data?.pages[0];
  const found = pages.data?.pages.flatMap((page) => page.findings) ?? [];
  const repairs = repairsOf(found);
  return (
    <>
      <div className="page__head">
        <h1>Doctor</h1>
        {first && (
          <span className="count">
            {counted(first.problems, "problem")}, {counted(first.warnings, "warning")}
          </span>
        )}
        <div className="right row">
          <button type="button" className="btn" disabled={pages.isFetching} onClick={() => void queries.resetQueries({ queryKey: ["doctor"] })}>
            <Icon name="search" /> {pages.isFetching ? "Examining…" : "Examine again"}
          </button>
          {mayRepair && repairs.length > 0 && (
            <button type="button" className="btn btn--main" onClick={() => ask(repair(found, setDone))}>
              <Icon name="wrench" /> Repair…
            </button>
          )}
        </div>
      </div>
      {pages.isError ? (
        <Empty title="The instance could not be examined">
          <Failure problem={pages.error} onRetry={() => void pages.refetch()} />
        </Empty>
      ) : pages.isPending ? (
        <Skeleton />
      ) : (
        <div className="page__scroll" tabIndex={0} role="region" aria-label="Findings">
          <div className="over over--flat">
            {done && <Done done={done} />}
            {first && Object.keys(first.checks).length > 1 && (
              <div className="views" role="group" aria-label="Which check">
                <Choice isOn={!check} onPick={() => void navigate({ search: {} })}>
                  All
                </Choice>
                {Object.entries(first.checks).map(([name, count]) => (
                  <Choice key={name} isOn={name === check} onPick={() => void navigate({ search: { check: name } })}>
                    {name} <span className="count">{count.toLocaleString("en")}</span>
                  </Choice>
                ))}
              </div>
            )}
            {found.length === 0 ? (
              <p className="q2">
                <span className="state green">
                  <Icon name="s-completed" /> Nothing is wrong.
                </span>{" "}
                Services, settings, topics, partitions, releases, queues, waits, timers and schedules were looked at.
              </p>
            ) : (
              <ul className="findings" aria-label="What is wrong">
                {found.map((each) => (
                  <Found key={`${each.check} ${each.thing} ${each.cause}`} each={each} />
                ))}
              </ul>
            )}
            {pages.hasNextPage && (
              <div>
                <button type="button" className="btn" onClick={() => void pages.fetchNextPage()}>
                  More
                </button>
              </div>
            )}
          </div>
        </div>
      )}
      {dialog}
    </>
  );
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

function Choice(props: { isOn: boolean; onPick: () => void; children: React.ReactNode }) {
  return (
    <button type="button" className="view" aria-pressed={props.isOn} onClick={props.onPick}>
      {props.children}
    </button>
  );
}

function Found({ each }: { each: Finding }) {
  const isProblem = each.severity === "problem";
  return (
    <li className="finding">
      <span className={`state ${isProblem ? "red" : "amber"}`}>
        <Icon name={isProblem ? "s-failed" : "s-blocked"} /> {each.severity}
      </span>
      <div>
        <p>
          <span className="q3">{each.check}</span> <b>{each.thing}</b> <Sentence text={each.cause} />
        </p>
        <p className="q2">
          <Sentence text={each.remedy} /> {each.repair && <Tag>Repair does it</Tag>}
        </p>
      </div>
    </li>
  );
}

/** What was repaired, and that the findings below are what is left. */
function Done({ done }: { done: Repairs }) {
  return (
    <div className={`why ${done.repaired.length ? "green" : "grey"}`} role="status">
      <Icon name={done.repaired.length ? "s-completed" : "minus"} />
      <p>
        <span className="why__word">{done.repaired.length ? "Repaired" : "Nothing to repair"}</span>{" "}
        {done.repaired.length > 0 && <Sentence text={`${done.repaired.join("; ")}.`} />} What is left is below.
      </p>
    </div>
  );
}

function repair(found: readonly Finding[], onDone: (done: Repairs) => void): Act {
  return {
    title: "Repair what is safe",
    verb: "Repair",
    asksReason: false,
    preview: (
      <>
        <dl className="kv">
          {repairsOf(found).map(({ what, things }) => (
            <div key={what} className="kv__row">
              <dt>{what}</dt>
              <dd>{things.join(", ")}</dd>
            </div>
          ))}
        </dl>
        <p className="hint">Each can be repeated, and takes nothing away. What else is found meanwhile and safe is repaired, too. The rest takes a person.</p>
      </>
    ),
    run: async () => onDone(await post<Repairs>("doctor/repair")),
  };
}
