-- Typed attributes of runs: with the run, and as rows by which lists find, order and narrow runs.

alter table run add column attributes bytea;
comment on column run.attributes is 'A JSON list of [name, kind, value]. Null: none.';

create table run_attribute (
  run_id text collate "C" not null,
  name text collate "C" not null,
  partition int not null,
  workflow text collate "C" not null,
  value text collate "C" not null,
  primary key (run_id, name)
);
comment on table run_attribute is 'The attributes of runs, for lists; a run has them in its own row, too.';
comment on column run_attribute.value is
  'Sorts as values do: b and 0 or 1, m and a moment, n and a number in hexadecimal, t and a text.';
-- By name first: a list of all workflows reads one range, and a list of one reads it in order.
create index run_attribute_value on run_attribute (name, workflow, value, run_id);

create type run_wide as (
  id text, partition int, workflow text, fingerprint text, status text, created bigint, updated bigint,
  ended bigint, start_id text, input bytea, output bytea, failure bytea, step_sequence bigint,
  run_sequence bigint, done int, total int, due bigint, tags text, trace text, mail bytea, queue text,
  priority int, metadata bytea, parent text, parent_step text, depth int, attempt int, context bytea,
  requests bytea, started bigint, lanes boolean, attributes bytea
);
create type run_shift as (
  id text, status text, updated bigint, ended bigint, output bytea, failure bytea, step_sequence bigint,
  run_sequence bigint, done int, total int, due bigint, mail bytea, attempt int, context bytea, requests bytea,
  started bigint, attributes bytea
);
create type attribute_set as (run_id text, name text, partition int, workflow text, value text);
