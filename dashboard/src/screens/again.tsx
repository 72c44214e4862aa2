/** Starts a run again: as it was, or with another input. */

import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";

import { get, part, post } from "../api/client";
import type { RunState, WorkflowWhole } from "../api/models";
import { Failure } from "../api/problem";
import { ActDialog, Dialog, type Act } from "../parts/dialog";
import { bodyOfAgain, againSchema } from "../pure/again";
import type { Schema } from "../pure/form";
import { useMe } from "../shell/session";

export function StartAgain({ run, onClose }: { run: RunState; onClose: () => void }) {
  const navigate = useNavigate();
  const me = useMe();
  const workflow = useQuery({
    queryKey: ["workflow", run.workflow],
    queryFn: ({ signal }) => get<WorkflowWhole>(`workflows/${part(run.workflow)}`, {}, signal),
  });
  if (workflow.isError) {
    return (
      <Dialog title={`Start ${run.id} again`} onClose={onClose}>
        <Failure problem={workflow.error} onRetry={() => void workflow.refetch()} />
      </Dialog>
    );
  }
  if (!workflow.data || !me.data) return null;
  const { fingerprint } = workflow.data;
  const maySee = me.data.may_see_payloads;
  const act: Act = {
    title: `Start ${run.id} again`,
    verb: "Start again",
    asksReason: false,
    preview: (
      <p className="hint">
        Another run starts, with the tags, the metadata, the queue and the priority of this one, by{" "}
        {fingerprint === run.fingerprint ? "the same version" : "the version that is deployed now"} <code>{fingerprint.slice(0, 7)}</code>.
        {!maySee && " Its input is the same: your token shows no payloads."}
      </p>
    ),
    form: {
      schema: againSchema((workflow.data.input_schema ?? {}) as Schema, maySee),
      initial: maySee ? { input: run.input ?? undefined } : {},
    },
    run: async (_, value) => {
      const made = await post<{ id: string }>(`runs/${part(run.id)}/start-again`, bodyOfAgain(value as Record<string, unknown>, run.input));
      void navigate({ to: "/runs/$id", params: { id: made.id } });
    },
  };
  return <ActDialog act={act} isWide onClose={onClose} onDone={onClose} />;
}
