-- Schedules, and what became of their moments.

-- step: schedules
create table schedule (
  id text collate "C" primary key,
  partition int not null,
  body bytea not null
);
comment on table schedule is 'Schedules, and for each app that declares some, their names.';
comment on column schedule.body is 'A JSON object: what the schedule does, the next moment, whether it is off and why.';
create type schedule_change as (id text, partition int, body bytea);

-- step: firings
create table schedule_firing (
  schedule text collate "C" not null,
  run text collate "C" not null,
  partition int not null,
  moment bigint not null,
  cause text not null,
  status text not null,
  at bigint not null,
  ended bigint,
  failure bytea,
  primary key (schedule, run)
);
comment on table schedule_firing is 'The firings that wait or have a run under way, and of each schedule the latest others.';
comment on column schedule_firing.moment is 'Which moment it stands for.';
comment on column schedule_firing.cause is 'time, trigger or backfill.';
comment on column schedule_firing.status is 'queued, started or skipped, else how its run ended.';
comment on column schedule_firing.at is 'When that was decided, and ended: when the run ended.';
create type firing_change as (
  schedule text, run text, partition int, moment bigint, cause text, status text, at bigint, ended bigint, failure bytea
);
