/** What the API answers, by the names of its document. */

import type { components } from "./schema";

type Schemas = components["schemas"];

/** The operator's word and its reason, where the server says them. */
interface Said {
  word?: string | null;
  reason?: string | null;
}

export type Failure = Schemas["Failure"];
export type RunEntry = Schemas["RunEntry"] & Said;
export type RunList = Omit<Schemas["RunList"], "runs"> & { runs: RunEntry[] };
export type RunStatuses = Schemas["RunStatuses"];
export type StepState = Schemas["StepShown"] & Said;
export type RunState = Omit<Schemas["RunShown"], "steps" | "helpers"> & Said & { steps: StepState[]; helpers: StepState[] };
export type AttemptState = Schemas["AttemptState"];
export type Attempts = Schemas["Attempts"];
export type Happening = Schemas["Happening"];
export type History = Schemas["History"];
export type Drawn = Schemas["Drawn"];
export type Question = Schemas["Question"];
export type OpenInput = Schemas["OpenInput"];
export type InputList = Schemas["InputList"];
export type ScheduleState = Schemas["ScheduleState"];
export type Schedules = Schemas["Schedules"];
export type WorkflowShown = Schemas["WorkflowShown"];
export type WorkflowWhole = Schemas["WorkflowWhole"];
export type Workflows = Schemas["Workflows"];
export type JobState = Schemas["JobState"];
export type Concern = Schemas["Concern"];
export type Overview = Omit<Schemas["Overview"], "runs"> & { runs: RunEntry[] };
export type GateShown = Schemas["GateShown"];
export type Gates = Schemas["Gates"];
export type StatusShown = Schemas["StatusShown"];
export type PartitionShown = Schemas["PartitionShown"];
export type ReadersShown = Schemas["ReadersShown"];
export type DeadShown = Schemas["DeadShown"];
export type DeadRecords = Schemas["DeadRecords"];
export type Planned = Schemas["Planned"];
export type PlannedList = Schemas["PlannedList"];
export type SettingRows = Schemas["SettingRows"];
export type Me = Schemas["Me"];
