/** What people are asked: a list by deadline, and the form of the chosen question. */

import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { get, part, post } from "../api/client";
import type { Answered, InputList, OpenInput, Question } from "../api/models";
import { Failure, type Problem } from "../api/problem";
import { useActs } from "../parts/acting";
import { Ago, Copy, Empty, Icon, Kbd, Skeleton, Time, Why } from "../parts/basics";
import type { Act } from "../parts/dialog";
import { Fields, focusFault, isReadable } from "../parts/form";
import { useKeys } from "../parts/keys";
import { useIsNarrow } from "../parts/window";
import type { IconName } from "../parts/sprite";
import { faults, field, filled, initial, type Schema } from "../pure/form";
import { useMay, useMe } from "../shell/session";

export interface InputsSearch {
  run?: string;
  wait?: string;
  role?: string;
}

const ICONS: Record<string, IconName> = {
  approval: "k-ask",
  choice: "k-choice",
  choices: "k-choice",
  text: "k-text",
  form: "k-form",
};

export function Inputs() {
  const search = useSearch({ from: "/inputs" });
  const navigate = useNavigate({ from: "/inputs" });
  const pages = useInfiniteQuery({
    queryKey: ["runs", "inputs", search.role],
    queryFn: ({ pageParam, signal }) =>
      get<InputList>("inputs", { role: search.role, limit: 100, after: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.following,
  });
  const open = pages.data?.pages.flatMap((page) => page.inputs) ?? [];
  const at = open.findIndex((each) => each.run === search.run && each.wait === search.wait);
  const isNarrow = useIsNarrow();
  const chosen = open[at] ?? (search.run || isNarrow ? undefined : open[0]);
  const place = chosen ? open.indexOf(chosen) : -1;
  const choose = (each: OpenInput | undefined) => void navigate({ search: { ...search, run: each?.run, wait: each?.wait } });
  useKeys({
    j: () => choose(open[Math.min(open.length - 1, Math.max(0, (at < 0 ? 0 : at) + 1))]),
    k: () => choose(open[Math.max(0, at - 1)]),
  });
  return (
    <>
      <div className="page__head">
        <h1>Inputs</h1>
        {pages.data && <span className="count">{open.length.toLocaleString("en")} wait for a person</span>}
      </div>
      {pages.isError ? (
        <Empty title="The inputs could not be read">
          <Failure problem={pages.error} onRetry={() => void pages.refetch()} />
        </Empty>
      ) : pages.isPending ? (
        <Skeleton />
      ) : open.length === 0 ? (
        <Empty title="Nobody is asked anything">
          <p>What a workflow asks of people, by `ask`, is answered here.</p>
        </Empty>
      ) : (
        <div className="ask">
          <nav className="ask__list" aria-label="Open inputs">
            {open.map((each) => (
              <Link
                key={`${each.run} ${each.wait}`}
                to="/inputs"
                search={{ ...search, run: each.run, wait: each.wait }}
                className="ask__item"
                aria-current={each === chosen ? "true" : undefined}
              >
                <Icon name={ICONS[each.answer] ?? "k-ask"} className="q2" />
                <span className="cut med">{each.prompt || each.wait}</span>
                <span className="q3 nw">{each.until ? <Ago at={each.until} /> : "no limit"}</span>
                <span />
                <span className="cut mono">
                  {each.run}, {each.wait}
                </span>
                <span>{each.assignee || each.role}</span>
              </Link>
            ))}
            {pages.hasNextPage && (
              <button type="button" className="btn" onClick={() => void pages.fetchNextPage()}>
                More
              </button>
            )}
          </nav>
          {chosen && (
            <section className="ask__form" aria-label={chosen.prompt || chosen.wait} key={`${chosen.run} ${chosen.wait}`}>
              <Answer input={chosen} alike={open.filter((each) => each.workflow === chosen.workflow && each.wait === chosen.wait).length} onDone={() => choose(open[place + 1] ?? open[place - 1])} />
            </section>
          )}
          {!chosen && search.run && (
            <section className="ask__form" aria-label="The chosen question">
              <Empty title="This is not asked any more">
                <p>
                  <span className="mono">{search.wait}</span> of{" "}
                  <Link className="link mono" to="/runs/$id" params={{ id: search.run }} search={{ step: search.wait }}>
                    {search.run}
                  </Link>{" "}
                  was answered, or its run has ended.
                </p>
              </Empty>
            </section>
          )}
        </div>
      )}
    </>
  );
}

function Answer({ input, alike, onDone }: { input: OpenInput; alike: number; onDone: () => void }) {
  const me = useMe();
  const mayAct = useMay();
  const [ask, dialog] = useActs(["runs", "inputs"], ["run", input.run]);
  const question = useQuery({
    queryKey: ["run", input.run, "input", input.wait],
    queryFn: ({ signal }) => get<Question>(`inputs/${part(input.run)}/${part(input.wait)}`, {}, signal),
  });
  return (
    <div className="stack">
      <h2 className="ask__title">{input.prompt || input.wait}</h2>
      <dl className="facts">
        <div>
          <dt>Step</dt>
          <dd>
            <Link className="link mono" to="/runs/$id" params={{ id: input.run }} search={{ step: input.wait }}>
              {input.run}
            </Link>{" "}
            <span className="mono">{input.wait}</span>
          </dd>
        </div>
        <div>
          <dt>Role</dt>
          <dd>{input.role || "anybody"}</dd>
        </div>
        {input.assignee && (
          <div>
            <dt>Taken by</dt>
            <dd>{input.assignee}</dd>
          </div>
        )}
        <div>
          <dt>Asked</dt>
          <dd>
            <Time at={input.since} />, <Ago at={input.since} />
          </dd>
        </div>
      </dl>
      {input.until && (
        <Why hue="violet" icon="s-waiting" word="Waiting">
          for an answer until <Time at={input.until} />, <Ago at={input.until} />.
        </Why>
      )}
      {mayAct && (
        <div className="sec__acts">
          {handling(input, me.data?.name ?? "").map((act) => (
            <button key={act.title} type="button" className="btn" onClick={() => ask(act)}>
              {act.short ?? act.verb}…
            </button>
          ))}
        </div>
      )}
      {dialog}
      {question.isError && <Failure problem={question.error} onRetry={() => void question.refetch()} />}
      {question.data && <AnswerForm input={input} question={question.data} alike={alike} onDone={onDone} />}
    </div>
  );
}

/** The same answer to every open question of this step, of whichever run. */
function approveAll(input: OpenInput, count: number): Act {
  return {
    title: `Approve all ${count.toLocaleString("en")} of ${input.wait}`,
    verb: `Approve ${count.toLocaleString("en")}`,
    confirm: count,
    reasonLabel: "Comment",
    preview: (
      <p className="hint">
        Every open question <span className="mono">{input.wait}</span> of workflow <span className="mono">{input.workflow}</span> is answered with yes, those too that come while it lasts.
      </p>
    ),
    run: (comment) => post<Answered>("inputs/answers", { answer: true, comment, filter: { workflow: input.workflow, wait: input.wait } }),
  };
}

/** What may be done about a question beside answering it: who has it in hand, and what is noted. */
function handling(input: OpenInput, me: string): Act[] {
  const at = `inputs/${part(input.run)}/${part(input.wait)}`;
  const what = input.prompt || input.wait;
  const claim: Act = {
    title: `Take on: ${what}`,
    verb: "Take it on",
    asksReason: false,
    preview: <p className="hint">It is shown as taken by you, {me}. Nobody else can take it on then, unless it is handed over.</p>,
    run: () => post(`${at}/claim`),
  };
  const assign: Act = {
    title: `Hand over: ${what}`,
    verb: "Hand over",
    reasonLabel: "Comment",
    form: {
      schema: {
        type: "object",
        properties: {
          to: { type: "string", title: "To", description: "A name; empty: anybody." },
          role: { type: "string", title: "Role", description: input.role ? `Empty: ${input.role}, as it is.` : "Empty: any, as it is." },
        },
      },
      initial: {},
    },
    run: (comment, value) => {
      const { to = "", ...role } = filled(value) as { to?: string };
      return post(`${at}/assign`, { to, ...role, comment });
    },
  };
  const comment: Act = {
    title: `Comment on: ${what}`,
    verb: "Note it",
    short: "Comment",
    asksReason: false,
    preview: <p className="hint">It stands in the history of the question, with your name.</p>,
    form: { schema: { type: "object", required: ["text"], properties: { text: { type: "string", title: "Comment", maxLength: 4_000 } } } },
    run: (_, value) => post(`${at}/comment`, value),
  };
  return input.assignee ? [assign, comment] : [claim, assign, comment];
}

interface FormProps {
  input: OpenInput;
  question: Question;
  /** How many open questions of the list are of the same step. */
  alike: number;
  onDone: () => void;
}

function AnswerForm({ input, question, alike, onDone }: FormProps) {
  const queries = useQueryClient();
  const [made] = useState(() => field(question.schema as Schema, "Answer"));
  const [value, setValue] = useState<unknown>(() => initial(made));
  const [comment, setComment] = useState("");
  const [isTried, setTried] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const [isSending, setSending] = useState(false);
  const [ask, dialog] = useActs(["runs", "inputs"]);
  const mayAct = useMay();
  const wrong = faults(made, value);
  const send = async (answer: unknown) => {
    setSending(true);
    setProblem(undefined);
    try {
      await post(`inputs/${part(input.run)}/${part(input.wait)}/answer`, { answer, comment });
      await queries.invalidateQueries({ queryKey: ["runs", "inputs"] });
      onDone();
    } catch (error) {
      setProblem(error as Problem);
    } finally {
      setSending(false);
    }
  };
  const submit = (form: HTMLFormElement) => {
    setTried(true);
    if (!isReadable(form)) return;
    if (Object.keys(wrong).length) focusFault(form);
    else void send(value);
  };
  const isApproval = input.answer === "approval";
  const options = made.kind === "choice" ? made.options : [];
  useKeys({
    ...(isApproval && mayAct ? { a: () => void send(true), r: () => document.getElementById("comment")?.focus() } : {}),
    ...Object.fromEntries(options.slice(0, 9).map((option, i) => [String(i + 1), () => setValue(option)])),
  });
  const message = JSON.stringify({ answer: value ?? null, run: input.run, wait: input.wait });
  return (
    <>
    {dialog}
    <form
      className="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (!isApproval) submit(event.currentTarget);
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !isApproval) submit(event.currentTarget);
      }}
    >
      {Object.keys(question.metadata).length > 0 && (
        <dl className="kv">
          {Object.entries(question.metadata).map(([name, each]) => (
            <div key={name} className="kv__row">
              <dt>{name}</dt>
              <dd>{typeof each === "string" ? each : JSON.stringify(each)}</dd>
            </div>
          ))}
        </dl>
      )}
      {mayAct && !isApproval && <Fields made={made} value={value} onChange={setValue} faults={isTried ? wrong : {}} />}
      {mayAct && (
        <label className="field" htmlFor="comment">
          <span className="lbl">
            Comment with the answer <span className="q3">optional</span>
          </span>
          <input id="comment" className="input" value={comment} onChange={(event) => setComment(event.target.value)} />
        </label>
      )}
      {problem && <Failure problem={problem} />}
      {mayAct && (
      <div className="row">
        {isApproval ? (
          <>
            <button type="button" className="btn btn--main" disabled={isSending} onClick={() => void send(true)}>
              Approve <Kbd>a</Kbd>
            </button>
            <button type="button" className="btn btn--risk" disabled={isSending} onClick={() => void send(false)}>
              Reject
            </button>
            {alike > 1 && (
              <button type="button" className="btn" onClick={() => ask(approveAll(input, alike))}>
                Approve all {alike.toLocaleString("en")}…
              </button>
            )}
          </>
        ) : (
          <button type="submit" className="btn btn--main" disabled={isSending}>
            {isSending ? "Asked…" : "Send answer"} <Kbd>Ctrl Enter</Kbd>
          </button>
        )}
        {isTried && Object.keys(wrong).length > 0 && <span className="q3">{Object.keys(wrong).length} to correct</span>}
        <span className="right">
          <Copy text={`echo '${message.replaceAll("'", "'\\''")}' | kcat -P -t sd.events -k ${input.run}`} label="Copy the same as a message">
            Copy as kcat
          </Copy>
        </span>
      </div>
      )}
      {question.changes.length > 0 && (
        <section>
          <h3 className="sec__h">History</h3>
          {question.changes.map((change) => (
            <p key={change.id} className="s2">
              <Time at={change.at} /> {change.kind} {change.by && `by ${change.by}`} {change.comment}
            </p>
          ))}
        </section>
      )}
    </form>
    </>
  );
}
