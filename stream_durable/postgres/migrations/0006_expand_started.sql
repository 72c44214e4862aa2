-- When a run began: later than it was created, if it was to begin later or its partition was busy.

alter table run add column started bigint;
comment on column run.started is
  'When its first steps could begin, by log time. Null: not yet, or an older release began it.';

create type run_whole as (
  id text, partition int, workflow text, fingerprint text, status text, created bigint, updated bigint,
  ended bigint, start_id text, input bytea, output bytea, failure bytea, step_sequence bigint,
  run_sequence bigint, done int, total int, due bigint, tags text, trace text, mail bytea, queue text,
  priority int, metadata bytea, parent text, parent_step text, depth int, attempt int, context bytea,
  requests bytea, started bigint
);
create type run_moving as (
  id text, status text, updated bigint, ended bigint, output bytea, failure bytea, step_sequence bigint,
  run_sequence bigint, done int, total int, due bigint, mail bytea, attempt int, context bytea, requests bytea,
  started bigint
);
