/** What the API answers, by the names of its document. */

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Failure = Schemas["Failure"];
export type RunEntry = Schemas["RunEntry"];
export type RunList = Schemas["RunList"];
export type RunStatuses = Schemas["RunStatuses"];
export type StepState = Schemas["StepShown"];
export type RunState = Schemas["RunShown"];
export type Explanation = Schemas["Explanation"];
export type Check = Schemas["Check"];
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
export type OperationState = Schemas["OperationState"];
export type Concern = Schemas["Concern"];
export type Overview = Schemas["Overview"];
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
export type Queues = Schemas["Queues"];
export type QueueState = Schemas["QueueState"];
export type Workers = Schemas["Workers"];
export type WorkerState = Schemas["WorkerState"];
