/** One run: where it stands and why, and every view of it. A failed run opens on what failed. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo, useState, type ReactNode } from "react";

import { attempts, part, post, run as runQuery, versions, why } from "../api/client";
import type { Explanation, RunState, StepState } from "../api/models";
import { Failure, Problem } from "../api/problem";
import { Ago, Copy, Empty, Icon, Sentence, Skeleton, State, Tag, Time, Took, Why } from "../parts/basics";
import { useActs } from "../parts/acting";
import { useNow } from "../parts/clock";
import type { Act } from "../parts/dialog";
import { useKeys } from "../parts/keys";
import { isSettled, look, REVIEWABLE } from "../pure/look";
import { arrange, Course, type LaneStep, type Placed } from "../pure/lanes";
import { CONTEXT, UNDO, WHOLE } from "../pure/orders";
import { millis } from "../pure/time";
import { VIEWS, type View } from "../pure/views";
import { useCommands, type Command } from "../shell/palette";
import { useMay } from "../shell/session";
import { StartAgain } from "./again";
import { DefinitionView } from "./definition";
import { Family } from "./family";
import { AskRun } from "./asking";
import { RunGraph } from "./graph";
import { StepPanel } from "./panel";
import { People } from "./review";
import { signal } from "./sending";
import { Timeline } from "./timeline";
import { HistoryView, InAndOut, Logs, StepsTable } from "./views";

export interface RunSearch {
  view?: View;
  step?: string;
  attempt?: number;
}

const WAITS = new Set(["event", "signal", "input", "sleep", "token", "child"]);

export function laneSteps(run: RunState): LaneStep[] {
  const owner = new Map<string, string>();
  for (const step of run.steps) for (const member of step.members) owner.set(member, step.name);
  return [...run.steps, ...run.helpers].map((step) => ({
    name: step.name,
    status: step.status,
    kind: step.kind === "step" ? "" : step.kind,
    owner: step.owner ?? owner.get(step.name),
    started: millis(step.started),
    finished: millis(step.finished),
    due: millis(step.due),
    attempt: step.attempt,
    isWait: isWait(step),
    isUndo: step.kind === "compensate",
    code: step.failure?.code,
    waits: step.waits_for.map((each) => (each.kind === "step" ? `after ${each.name}` : each.text)).join(", "),
    child: step.child,
  }));
}

function isWait(step: StepState): boolean {
  return WAITS.has(step.kind);
}

/** The first step that failed for good, whether or not a person may still decide. */
export function firstFailing(run: RunState): string | undefined {
  const failing = run.steps.filter((step) => step.status === "failed" || step.status === "held");
  const inner = failing.find((step) => step.members.length === 0) ?? failing[0];
  return inner?.name ?? run.helpers.find((step) => step.status === "failed")?.name;
}

export function Run() {
  const { id } = useParams({ from: "/runs/$id" });
  const search = useSearch({ from: "/runs/$id" });
  const navigate = useNavigate({ from: "/runs/$id" });
  const state = useQuery(runQuery(id));
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [fold, setFold] = useState(() => localStorage.getItem("stream_durable.axis") !== "scale");
  const [askAct, dialog] = useActs(["run", id]);

  const view: View = search.view ?? "timeline";
  const run = state.data;
  const selected = search.step ?? (run && needsReview(run) ? firstFailing(run) : undefined);
  const go = (next: Partial<RunSearch>) => void navigate({ search: { ...search, ...next }, replace: next.view === undefined });
  const select = (step: string | undefined) => go({ step, attempt: undefined });
  const chooseFold = (next: boolean) => {
    setFold(next);
    localStorage.setItem("stream_durable.axis", next ? "fold" : "scale");
  };
  const steps = useMemo(() => (run ? laneSteps(run) : []), [run]);
  const order = useMemo(() => arrange(steps, folded), [steps, folded]);
  const move = (by: number) => {
    const at = selected === undefined ? -1 : order.findIndex((each) => each.step.name === selected);
    const next = order[Math.min(order.length - 1, Math.max(0, at + by))];
    if (next) select(next.step.name);
  };
  const mayAct = useMay();
  const [opened, setOpened] = useState<"ask" | "again">();
  const acts = run && mayAct ? actsOf(run) : {};
  const more = run && mayAct ? moreOf(run, setOpened) : [];
  const ask = (name: string) => {
    const found = acts[name];
    if (found) askAct(found);
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    e: () => run && select(firstFailing(run)),
    t: () => chooseFold(!fold),
    r: () => ask("retry"),
    p: () => ask(run?.status === "paused" ? "resume" : "pause"),
    c: () => ask("cancel"),
    y: () => void navigator.clipboard?.writeText(id),
    ...Object.fromEntries(VIEWS.map((each, i) => [String(i + 1), () => go({ view: each })])),
  });
  useCommands([
    ...more.map(({ title, icon, open }): Command => ({ id: `act ${title}`, group: "This run", title, icon, run: open })),
    ...Object.entries(acts).map(
      ([name, each]): Command => ({ id: `act ${name}`, group: "This run", title: each.title, icon: ICONS[name] ?? "more", run: () => askAct(each) }),
    ),
    ...(run?.steps.slice(0, 200) ?? []).map(
      (step): Command => ({
        id: `step ${step.name}`,
        group: "Steps",
        title: step.name,
        hint: step.status,
        icon: look(step.status).icon,
        hue: look(step.status).hue,
        run: () => select(step.name),
      }),
    ),
  ]);

  if (state.isError) return <Missing id={id} problem={state.error} onRetry={() => void state.refetch()} />;
  if (!run) return <Skeleton rows={14} />;
  const step = [...run.steps, ...run.helpers].find((each) => each.name === selected);
  const panel = step && view !== "data" && view !== "definition" && view !== "family" && (
    <StepPanel
      key={step.name}
      run={run}
      step={step}
      attempt={search.attempt}
      onAttempt={(attempt) => go({ attempt })}
      onMove={move}
      onClose={() => go({ step: "", attempt: undefined })}
      onAct={askAct}
    />
  );
  return (
    <>
      <Header run={run} acts={acts} more={more} onAct={askAct} />
      <Tabs run={run} view={view} />
      <div className={`split ${panel ? "" : "split--plain"}`}>
        <div className="pane">
          {view === "timeline" && (
            <Lanes
              run={run}
              order={order}
              fold={fold}
              selected={selected}
              onFold={chooseFold}
              onSelect={select}
              onToggle={(name) => {
                const next = new Set(folded);
                if (!next.delete(name)) next.add(name);
                setFolded(next);
              }}
            />
          )}
          {view === "graph" && (
            <RunGraph run={run} selected={selected} onSelect={select} />
          )}
          {view === "steps" && <StepsTable run={run} selected={selected} onSelect={select} />}
          {view === "logs" && <Logs id={run.id} />}
          {view === "history" && <HistoryView id={run.id} onSelect={select} />}
          {view === "family" && <Family key={run.id} run={run} />}
          {view === "definition" && <DefinitionView run={run} />}
          {view === "data" && <InAndOut run={run} />}
        </div>
        {panel && (
          <aside className="aside" aria-label={`Step ${step.name}`}>
            {panel}
          </aside>
        )}
      </div>
      {dialog}
      {opened === "ask" && <AskRun run={run} onClose={() => setOpened(undefined)} />}
      {opened === "again" && <StartAgain run={run} onClose={() => setOpened(undefined)} />}
    </>
  );
}

/** What has a dialog of its own. */
interface Opens {
  title: string;
  short: string;
  icon: "send" | "play";
  open: () => void;
}

function moreOf(run: RunState, open: (what: "ask" | "again") => void): Opens[] {
  if (isSettled(run.status)) return [{ title: `Start ${run.id} again`, short: "Start again", icon: "play", open: () => open("again") }];
  return run.answers.length ? [{ title: `Ask ${run.id}`, short: "Ask", icon: "send", open: () => open("ask") }] : [];
}

function needsReview(run: RunState): boolean {
  return run.word === "Needs review" || ["failed", "compensation_failed", "compensated"].includes(run.status);
}

function Lanes(props: {
  run: RunState;
  order: readonly Placed[];
  fold: boolean;
  selected?: string;
  onFold: (fold: boolean) => void;
  onSelect: (name: string) => void;
  onToggle: (name: string) => void;
}) {
  const { run, order } = props;
  const isOver = isSettled(run.status);
  const tries = useQuery(attempts(run.id));
  const clock = useNow();
  const now = isOver ? (millis(run.ended) ?? clock) : clock;
  const known = useMemo(
    () =>
      (tries.data?.attempts ?? []).map((each) => ({
        step: each.step,
        attempt: each.attempt,
        status: each.status,
        started: millis(each.started),
        finished: millis(each.finished),
        code: each.failure?.code,
      })),
    [tries.data],
  );
  const course = useMemo(() => new Course(order, known), [order, known]);
  const picture = useMemo(() => course.at(now), [course, now]);
  const others = useQuery(versions(run.workflow));
  const deployed = useMemo(
    () =>
      (others.data?.versions ?? []).flatMap(({ fingerprint, registered }) => {
        const at = millis(registered);
        return at === undefined ? [] : [{ workflow: run.workflow, fingerprint, at }];
      }),
    [others.data, run.workflow],
  );
  return (
    <Timeline
      picture={picture}
      deployed={deployed}
      created={millis(run.created) ?? now}
      now={now}
      isOver={isOver}
      fold={props.fold}
      selected={props.selected}
      onFold={props.onFold}
      onSelect={props.onSelect}
      onToggle={props.onToggle}
    />
  );
}

const ICONS: Record<string, "pause" | "play" | "retry" | "x" | "check"> = {
  pause: "pause",
  resume: "play",
  retry: "retry",
  cancel: "x",
  review: "check",
};

function actsOf(run: RunState): Record<string, Act> {
  const to = (verb: string) => (reason: string, more?: unknown) => post(`runs/${part(run.id)}/${verb}`, { reason, ...(more as object | null) });
  const done = run.steps.filter((step) => step.status === "completed").length;
  const isOver = isSettled(run.status);
  const found: Record<string, Act> = {};
  if (!isOver && run.status !== "paused") {
    found.pause = {
      title: `Pause ${run.id}`,
      verb: "Pause",
      preview: <p className="hint">What is under way ends; nothing new begins until somebody resumes it.</p>,
      run: to("pause"),
    };
  }
  if (run.status === "paused") {
    found.resume = { title: `Resume ${run.id}`, verb: "Resume", preview: null, form: { schema: CONTEXT }, run: to("resume") };
  }
  if (isOver && run.status !== "completed") {
    found.retry = {
      title: `Retry ${run.id}`,
      verb: "Retry",
      preview: <Kept run={run} />,
      form: { schema: WHOLE },
      run: to("retry"),
    };
  }
  if (REVIEWABLE.includes(run.status) && !run.reviewed) {
    found.review = {
      title: `Mark ${run.id} reviewed`,
      verb: "Mark reviewed",
      preview: <p className="hint">Nothing runs. It is no longer listed as in need of somebody, until it is retried.</p>,
      run: to("review"),
    };
  }
  if (!isOver) {
    const awaited = signalsOf(run);
    for (const name of awaited) found[`signal ${name}`] = signal(run.id, name);
    found.signal = { ...signal(run.id), short: awaited.length ? "Other signal" : "Signal" };
    found.cancel = {
      title: `Cancel ${run.id}`,
      verb: "Cancel the run",
      short: "Cancel",
      isRisky: true,
      preview: (
        <p className="hint">
          {done} of {run.total} steps are done. What is under way is told to stop.
        </p>
      ),
      form: { schema: UNDO },
      run: to("cancel"),
    };
  }
  return found;
}

/** The signals that its steps wait for now, and those that it reacts to. */
function signalsOf(run: RunState): string[] {
  const waited = run.steps.flatMap((step) => step.waits_for.filter((each) => each.kind === "signal").map((each) => each.name));
  const reacted = Object.values(run.reactions).filter((each) => each.on === "signal").map((each) => each.of);
  return [...new Set([...waited, ...reacted])].sort();
}

/** What a retry keeps, and what runs again. */
export function Kept({ run }: { run: RunState }) {
  const isKept = (step: StepState) => step.status === "completed" || step.status === "skipped";
  const kept = run.steps.filter(isKept);
  const again = run.steps.filter((step) => !isKept(step));
  return (
    <dl className="kv">
      <dt>Kept</dt>
      <dd>
        <Names steps={kept} />
      </dd>
      <dt>Runs again</dt>
      <dd>
        <Names steps={again} />
      </dd>
    </dl>
  );
}

function Names({ steps }: { steps: readonly StepState[] }) {
  if (steps.length === 0) return <>nothing</>;
  return (
    <span className="names">
      {steps.slice(0, 12).map((step) => (
        <Tag key={step.name}>
          <span className="mono">{step.name}</span>
        </Tag>
      ))}
      {steps.length > 12 && <span className="q3">and {steps.length - 12} more</span>}
    </span>
  );
}

function Header(props: { run: RunState; acts: Record<string, Act>; more: readonly Opens[]; onAct: (act: Act) => void }) {
  const { run, acts, more, onAct } = props;
  const buttons = Object.entries(acts);
  const risky = buttons.filter(([, act]) => act.isRisky);
  const isQuiet = run.status === "completed";
  const explained = useQuery({ ...why(run.id), enabled: !isQuiet });
  const word = explained.data?.word ?? run.word;
  const { icon, hue } = look(run.status, word);
  const sentence = explained.data?.sentence;
  return (
    <header className="run__head">
      <div className="row">
        <h1 className="mono run__id cut" title={run.id}>
          {run.id}
        </h1>
        <Copy text={run.id} label="Copy run id" />
        <State status={run.status} word={word} chip />
        <div className="right row">
          {buttons
            .filter(([, act]) => !act.isRisky)
            .map(([name, act]) => (
              <button key={name} type="button" className="btn" onClick={() => onAct(act)}>
                {ICONS[name] && <Icon name={ICONS[name]} />}
                {act.short ?? act.verb}…
              </button>
            ))}
          {more.map(({ title, short, icon, open }) => (
            <button key={title} type="button" className="btn" onClick={open}>
              <Icon name={icon} />
              {short}…
            </button>
          ))}
          {risky.map(([name, act]) => (
            <button key={name} type="button" className="btn btn--risk" onClick={() => onAct(act)}>
              {act.short ?? act.verb}…
            </button>
          ))}
        </div>
      </div>
      {!isQuiet && (sentence || run.failure) && (
        <Why hue={hue} icon={icon} word={word}>
          {sentence ? (
            <Sentence text={sentence} />
          ) : (
            <>
              <code>{run.failure!.code}</code>: {run.failure!.message}
            </>
          )}
        </Why>
      )}
      <People run={run} />
      <Facts run={run} explained={isQuiet ? undefined : explained.data} />
    </header>
  );
}

function Facts({ run, explained }: { run: RunState; explained?: Explanation }) {
  const isOver = isSettled(run.status);
  const facts: [string, ReactNode][] = [
    [
      "Workflow",
      <Link key="w" className="link mono" to="/workflows/$name" params={{ name: run.workflow }}>
        {run.workflow}
      </Link>,
    ],
    [
      "Version",
      <Link key="v" className="link mono" to="/runs/$id" params={{ id: run.id }} search={{ view: "definition" }}>
        {run.fingerprint.slice(0, 7)}
      </Link>,
    ],
    [
      "Started",
      <span key="s">
        <Time at={run.started ?? run.created} /> by {run.schedule ? `schedule ${run.schedule}` : run.trigger}
      </span>,
    ],
  ];
  if (isOver) facts.push(["Ended", <Time key="e" at={run.ended} />]);
  facts.push([isOver ? "Took" : "Age", <Took key="t" from={run.started ?? run.created} to={run.ended} />]);
  if (run.due && !isOver) {
    facts.push([
      run.started ? "Deadline" : "Begins",
      <span key="d">
        <Time at={run.due} />, <Ago at={run.due} />
      </span>,
    ]);
  }
  facts.push(["Steps", `${run.done} of ${run.total}`]);
  if (run.into) {
    facts.push([
      "Merged into",
      <Link key="i" className="link mono" to="/runs/$id" params={{ id: run.into }}>
        {run.into}
      </Link>,
    ]);
  }
  if (explained?.code === "at_admission" && !isOver) {
    // The workflow is that of the run; the key may be hidden, and the list shows which there are.
    const { key } = explained.evidence as { key?: unknown };
    facts.push([
      "Waits at",
      <Link key="a" className="link mono" to="/admissions" search={{ name: run.workflow, key: (typeof key === "string" && key) || undefined }}>
        {run.workflow} {typeof key === "string" && key}
      </Link>,
    ]);
  }
  if (run.attempt > 1) facts.push(["Attempt", String(run.attempt)]);
  if (run.parent) {
    facts.push([
      "Parent",
      <Link key="p" className="link mono" to="/runs/$id" params={{ id: run.parent }} search={{ step: run.parent_step ?? undefined }}>
        {run.parent}
      </Link>,
    ]);
  }
  if (run.tags.length) {
    facts.push([
      "Tags",
      <span key="g" className="row">
        {run.tags.map((tag) => (
          <Tag key={tag}>{tag}</Tag>
        ))}
      </span>,
    ]);
  }
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const TITLES: Record<View, string> = {
  timeline: "Timeline",
  graph: "Graph",
  steps: "Steps",
  logs: "Logs",
  history: "History",
  family: "Family",
  definition: "Definition",
  data: "Input and output",
};

function Tabs({ run, view }: { run: RunState; view: View }) {
  const counts: Partial<Record<View, number>> = { steps: run.steps.length, family: run.children || undefined };
  return (
    <nav className="tabs" aria-label="Views of this run">
      {VIEWS.map((each) => (
        <Link
          key={each}
          to="/runs/$id"
          params={{ id: run.id }}
          search={(before: RunSearch) => ({ ...before, view: each === "timeline" ? undefined : each })}
          activeOptions={{ exact: true, explicitUndefined: true }}
          className={each === "graph" ? "phone-off" : undefined}
          aria-current={each === view ? "page" : undefined}
        >
          {TITLES[each]}
          {counts[each] !== undefined && <span className="count">{counts[each].toLocaleString("en")}</span>}
        </Link>
      ))}
    </nav>
  );
}

function Missing({ id, problem, onRetry }: { id: string; problem: Error; onRetry: () => void }) {
  const navigate = useNavigate();
  const isMissing = problem instanceof Problem && problem.status === 404;
  return (
    <Empty isPage title={isMissing ? `There is no run ${id}` : `Run ${id} could not be read`}>
      <Failure problem={problem} onRetry={onRetry} />
      <button type="button" className="btn btn--small" onClick={() => void navigate({ to: "/runs" })}>
        All runs
      </button>
    </Empty>
  );
}

