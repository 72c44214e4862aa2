-- What runs, steps and gates are besides: how a run was started, what is asked of it, what its steps tried.

alter table run
  add column queue text collate "C",
  add column priority int not null default 0,
  add column metadata bytea,
  add column parent text collate "C",
  add column parent_step text collate "C",
  add column depth int not null default 0,
  add column attempt int not null default 1,
  add column context bytea,
  add column requests bytea;
alter table run alter column context set storage external;
-- Runs are read by age, page by page, and few are of the same millisecond: what an index does not order is sorted
-- as it comes. Without the id an index is a seventh as large and costs a start less; each is written to at a
-- run's start and again at its end.
drop index run_created;
create index run_created on run (created);
create index run_children on run (parent, created) where parent is not null;
create index run_workflow on run (workflow, created);
-- Neither names the status: a run that only begins or ceases to wait leaves all indexes as they are.
create index run_open on run (created) where ended is null;
create index run_failed on run (created) where failure is not null;
-- What it was for, run_open answers too.
drop index run_unfinished;
comment on column run.queue is 'Where steps go that name no queue of their own.';
comment on column run.parent is 'The run that started it, by its step parent_step.';
comment on column run.attempt is 'Which try of the whole graph it is.';
comment on column run.context is 'What steps have put there: a JSON object.';
comment on column run.requests is 'What has been asked of the run and by which message, apart from what came of it.';

alter table step add column sequence bigint, add column detail bytea;
alter table step drop constraint step_status_check;
alter table step add constraint step_status_check check (status in (
  'pending', 'ready', 'running', 'waiting', 'retrying', 'completed', 'failed', 'skipped', 'cancelled',
  'compensated'));
alter table step alter column detail set storage external;
comment on column step.sequence is
  'The statement about the run''s steps that said how it ended: the order in which steps ended.';
comment on column step.detail is 'What few steps have: where it stands in its group, its child, its progress.';

create table attempt (
  run_id text collate "C" not null,
  step text collate "C" not null,
  attempt int not null,
  partition int not null,
  status text collate "C" not null,
  started bigint,
  finished bigint,
  worker text,
  failure bytea,
  logs bytea,
  primary key (run_id, step, attempt)
);
alter table attempt alter column logs set storage external;
comment on table attempt is
  'Attempts that there is more to say of than the step does: they failed, were put off, or wrote something.';

create table gate (
  name text collate "C" primary key,
  partition int not null,
  body bytea not null
);
comment on table gate is 'Gates that were ever asked: where they stand, and the failures that count.';

create table gate_place (
  gate text collate "C" not null,
  run text collate "C" not null,
  step text collate "C" not null,
  partition int not null,
  attempt int not null,
  ordinal bigint not null,
  is_inside boolean not null,
  primary key (gate, run, step)
);
comment on table gate_place is
  'Attempts that wait at a gate in the order of their ordinals, or try whether the dependency is back.';

create type run_state as (
  id text, partition int, workflow text, fingerprint text, status text, created bigint, updated bigint,
  ended bigint, start_id text, input bytea, output bytea, failure bytea, step_sequence bigint,
  run_sequence bigint, done int, total int, due bigint, tags text, trace text, mail bytea, queue text,
  priority int, metadata bytea, parent text, parent_step text, depth int, attempt int, context bytea,
  requests bytea
);
create type run_progress as (
  id text, status text, updated bigint, ended bigint, output bytea, failure bytea, step_sequence bigint,
  run_sequence bigint, done int, total int, due bigint, mail bytea, attempt int, context bytea, requests bytea
);
create type step_state as (
  run_id text, name text, status text, attempt int, output bytea, failure bytea, started bigint,
  finished bigint, worker text, due bigint, deadline bigint, losses int, sequence bigint, detail bytea
);
create type attempt_state as (
  run_id text, step text, attempt int, partition int, status text, started bigint, finished bigint,
  worker text, failure bytea, logs bytea
);
create type gate_change as (name text, partition int, body bytea);
create type place_change as (
  gate text, run text, step text, partition int, attempt int, ordinal bigint, is_inside boolean
);

create or replace view evidence_record as
select
  e.partition,
  e.generation,
  o.value::bigint as log_offset,
  (array[
    'run.start', 'run.cancel', 'run.signal', 'attempt.started', 'attempt.heartbeat', 'attempt.completed',
    'attempt.failed', 'event.delivered', 'run.timer', 'channel.event', 'channel.wait', 'channel.unwait',
    'channel.timer', 'attempt.returned', 'run.pause', 'run.resume', 'step.cancel', 'step.skip', 'run.retry',
    'child.ended', 'attempt.skipped', 'attempt.jumped', 'attempt.expanded', 'attempt.finished', 'gate.ask',
    'gate.leave', 'gate.timer', 'gate.pass'])[(r.j -> 'types' ->> (o.n::int - 1))::int + 1] as type,
  r.j -> 'keys' ->> (o.n::int - 1) as key,
  (array['applied', 'duplicate', 'late', 'dead'])[(r.j -> 'outcomes' ->> (o.n::int - 1))::int + 1] as outcome,
  to_timestamp((r.j -> 'times' ->> (o.n::int - 1))::bigint / 1000.0) as log_time
from evidence e
cross join lateral (select convert_from(e.records, 'UTF8')::json as j) r
cross join lateral json_array_elements_text(r.j -> 'offsets') with ordinality as o (value, n);
