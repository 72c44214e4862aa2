-- What has begun goes first: the first attempts of a run may have a lane of their own.

alter table run add column lanes boolean;
comment on column run.lanes is
  'Whether first attempts go to the first lane of their queue, where cancellations follow them. Null: no.';

create type run_started as (
  id text, partition int, workflow text, fingerprint text, status text, created bigint, updated bigint,
  ended bigint, start_id text, input bytea, output bytea, failure bytea, step_sequence bigint,
  run_sequence bigint, done int, total int, due bigint, tags text, trace text, mail bytea, queue text,
  priority int, metadata bytea, parent text, parent_step text, depth int, attempt int, context bytea,
  requests bytea, started bigint, lanes boolean
);
