/** Acts on schedules that change what they are: create, change, reset, fill in the past, delete. */

import { patch, part, post, remove } from "../api/client";
import type { Backfill, ScheduleState as Schedule } from "../api/models";
import type { Act } from "../parts/dialog";
import { filled, type Schema } from "../pure/form";

const RULE: Record<string, Schema> = {
  cron: { type: "string", title: "Cron", description: "Five fields, such as 0 2 * * *; this or an interval." },
  every: { type: "string", title: "Every", description: "An interval, such as 15m." },
  timezone: { type: "string", title: "Time zone", description: "Such as Europe/Berlin; empty: UTC." },
  overlap: { enum: ["skip", "queue_one", "queue_all", "cancel", "allow"], title: "While a run is under way" },
  catch_up: { type: "string", title: "Catch up", description: "How far back missed moments are made up for, such as 1h." },
  input: { title: "Input", description: "JSON." },
};

/** What was filled in, as the API takes it: one cron line is a list of one. */
function body(value: unknown): Record<string, unknown> {
  const { cron, ...given } = filled(value);
  return cron === undefined ? given : { ...given, cron: [cron] };
}

export function create(): Act {
  return {
    title: "Create a schedule",
    verb: "Create",
    asksReason: false,
    form: {
      schema: {
        type: "object",
        required: ["name", "workflow"],
        properties: { name: { type: "string", title: "Name" }, workflow: { type: "string", title: "Workflow" }, ...RULE },
      },
    },
    run: (_, value) => post("schedules", body(value)),
  };
}

export function change(each: Schedule): Act {
  return {
    title: `Change ${each.name}`,
    verb: "Change",
    asksReason: false,
    preview: <p className="hint">It is {each.rule} in {each.timezone} now. What is left empty stays.</p>,
    form: { schema: { type: "object", properties: RULE }, initial: {} },
    run: (_, value) => patch(`schedules/${part(each.name)}`, body(value)),
  };
}

export function reset(each: Schedule): Act {
  return {
    title: `Reset ${each.name}`,
    verb: "Reset",
    asksReason: false,
    preview: <p className="hint">Back to the plan of the code.</p>,
    run: () => post(`schedules/${part(each.name)}/reset`),
  };
}

export function forget(each: Schedule): Act {
  return {
    title: `Delete ${each.name}`,
    verb: "Delete",
    isRisky: true,
    asksReason: false,
    preview: <p className="hint">It is forgotten. Its runs go on.</p>,
    run: () => remove(`schedules/${part(each.name)}`),
  };
}

export function backfill(each: Schedule): Act {
  return {
    title: `Fill in the past of ${each.name}`,
    verb: "Start the runs",
    asksReason: false,
    preview: <p className="hint">A run starts for every moment of that time for which there was none.</p>,
    form: {
      schema: {
        type: "object",
        required: ["since", "until"],
        properties: {
          since: { type: "string", format: "date-time", title: "From" },
          until: { type: "string", format: "date-time", title: "Until" },
          pace: { type: "string", title: "Pace", description: "Time between two starts; empty: 1s." },
        },
      },
    },
    run: (_, value) => post<Backfill>(`schedules/${part(each.name)}/backfill`, body(value)),
  };
}
