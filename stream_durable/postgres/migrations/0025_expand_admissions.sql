-- Admissions: which runs of a workflow and a key begin, and which go with another.

create table admission (
  id text collate "C" primary key,
  partition int not null,
  body bytea not null
);
comment on table admission is 'The starts of a workflow and a key: rule and times. The id is the workflow, two slashes and the key.';
create type admission_change as (id text, partition int, body bytea);

create table admission_member (
  admission text collate "C" not null,
  run text collate "C" not null,
  partition int not null,
  stage text not null,
  attempt int not null,
  ordinal bigint not null,
  since bigint not null,
  priority int not null,
  is_again boolean not null,
  taker text not null,
  lease bigint,
  input bytea,
  primary key (admission, run)
);
comment on table admission_member is 'Runs at admissions: those that wait, are under way, go with another, or are remembered for repeats.';
comment on column admission_member.stage is 'waiting, joined, let_in, begun, replaced, merged or settled.';
comment on column admission_member.taker is 'The run that it goes with; empty: none.';
comment on column admission_member.input is 'As long as it may be given to another run.';
create type member_change as (
  admission text, run text, partition int, stage text, attempt int, ordinal bigint, since bigint, priority int,
  is_again boolean, taker text, lease bigint, input bytea
);

-- run: merged as a status of runs
alter table run
  drop constraint run_status_check,
  add constraint run_status_check check (status in (
    'pending', 'running', 'waiting', 'paused', 'cancelling', 'compensating',
    'completed', 'failed', 'cancelled', 'compensated', 'compensation_failed', 'merged')) not valid;
-- run, concurrently: statuses of the runs there are
alter table run validate constraint run_status_check;

-- run: the inputs of others
alter table run add column inputs bytea;
comment on column run.inputs is 'A JSON list of the inputs of all runs that began as this one. Null: its own alone.';

create type run_written as (
  id text, partition int, workflow text, fingerprint text, status text, created bigint, updated bigint,
  ended bigint, start_id text, input bytea, output bytea, failure bytea, step_sequence bigint,
  run_sequence bigint, done int, total int, due bigint, tags text, trace text, mail bytea, queue text,
  priority int, metadata bytea, parent text, parent_step text, depth int, attempt int, context bytea,
  requests bytea, started bigint, lanes boolean, attributes bytea, inputs bytea
);
create type run_moved as (
  id text, status text, updated bigint, ended bigint, output bytea, failure bytea, step_sequence bigint,
  run_sequence bigint, done int, total int, due bigint, mail bytea, attempt int, context bytea, requests bytea,
  started bigint, attributes bytea, inputs bytea
);
