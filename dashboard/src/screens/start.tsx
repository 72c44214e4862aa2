/** Start a run: the workflow, its input as a form, and an id. */

import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import { get, part, post } from "../api/client";
import type { Workflows, WorkflowWhole } from "../api/models";
import { Failure, type Problem } from "../api/problem";
import { Dialog } from "../parts/dialog";
import { Fields, focusFault, isReadable } from "../parts/form";
import { faults, field, initial, type Schema } from "../pure/form";

export function StartDialog({ workflow, onClose }: { workflow?: string; onClose: () => void }) {
  const [name, setName] = useState(workflow ?? "");
  const known = useQuery({
    queryKey: ["workflows"],
    queryFn: ({ signal }) => get<Workflows>("workflows", {}, signal),
  });
  const chosen = name || known.data?.workflows[0]?.name || "";
  return (
    <Dialog title="Start a run" onClose={onClose} wide>
      <label className="field">
        <span className="lbl">Workflow</span>
        <select className="input" value={chosen} onChange={(event) => setName(event.target.value)}>
          {known.data?.workflows.map((each) => (
            <option key={each.name}>{each.name}</option>
          ))}
        </select>
      </label>
      {known.isError && <Failure problem={known.error} onRetry={() => void known.refetch()} />}
      {chosen && <StartForm key={chosen} workflow={chosen} />}
    </Dialog>
  );
}

export function StartForm({ workflow }: { workflow: string }) {
  const state = useQuery({
    queryKey: ["workflow", workflow],
    queryFn: ({ signal }) => get<WorkflowWhole>(`workflows/${part(workflow)}`, {}, signal),
  });
  if (state.isError) return <Failure problem={state.error} onRetry={() => void state.refetch()} />;
  return state.data ? <Input workflow={workflow} schema={(state.data.input_schema ?? {}) as Schema} /> : null;
}

function Input({ workflow, schema }: { workflow: string; schema: Schema }) {
  const navigate = useNavigate();
  const [made] = useState(() => field(schema, "Input"));
  const [value, setValue] = useState<unknown>(() => initial(made));
  const [id, setId] = useState("");
  const [tags, setTags] = useState("");
  const [isTried, setTried] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const [isSending, setSending] = useState(false);
  const wrong = faults(made, value);
  const send = async () => {
    setTried(true);
    if (Object.keys(wrong).length) return;
    setSending(true);
    try {
      const body = { workflow, input: value ?? null, id: id || undefined, tags: tags.split(/[\s,]+/).filter(Boolean) };
      const run = await post<{ id: string }>("runs", body);
      void navigate({ to: "/runs/$id", params: { id: run.id } });
    } catch (error) {
      setProblem(error as Problem);
    } finally {
      setSending(false);
    }
  };
  return (
    <form
      className="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (!isReadable(event.currentTarget)) return;
        if (Object.keys(wrong).length) focusFault(event.currentTarget);
        void send();
      }}
    >
      <Fields made={made} value={value} onChange={setValue} faults={isTried ? wrong : {}} />
      <div className="io">
        <label className="field">
          <span className="lbl">
            Run id <span className="q3">optional</span>
          </span>
          <input className="input" value={id} onChange={(event) => setId(event.target.value)} />
        </label>
        <label className="field">
          <span className="lbl">
            Tags <span className="q3">optional</span>
          </span>
          <input className="input" value={tags} onChange={(event) => setTags(event.target.value)} />
        </label>
      </div>
      {problem && <Failure problem={problem} />}
      <div className="row">
        <button type="submit" className="btn btn--main" disabled={isSending}>
          {isSending ? "Asked…" : "Start"}
        </button>
        {isTried && Object.keys(wrong).length > 0 && (
          <span className="q3">{Object.keys(wrong).length} to correct</span>
        )}
      </div>
    </form>
  );
}
