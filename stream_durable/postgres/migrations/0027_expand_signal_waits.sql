-- Signal waits inside steps, while they are open: no definition names them, and lists show them.

-- step: signal waits
create table signal_wait (
  run text collate "C" not null,
  wait text collate "C" not null,
  partition int not null,
  created bigint not null,
  workflow text collate "C" not null,
  name text not null,
  signals text not null,
  primary key (run, wait)
);
comment on table signal_wait is
  'Open signal waits inside steps, one row each, for lists; all that is known of one is in step.detail.';
comment on column signal_wait.created is 'When the run was created.';
comment on column signal_wait.name is 'The signals in words.';
comment on column signal_wait.signals is 'A JSON list of the signals.';
create index signal_wait_created on signal_wait (created, run, wait);
create index signal_wait_workflow on signal_wait (workflow, created, run, wait);
create type signal_wait_state as (
  run text, wait text, partition int, created bigint, workflow text, name text, signals text
);

-- step: the signal waits that are open
insert into signal_wait (run, wait, partition, created, workflow, name, signals)
select s.run_id, s.name, r.partition, r.created, r.workflow,
  (
    select string_agg(n, case when w.node -> 'all_of' is null then ' or ' else ' and ' end order by o)
    from json_array_elements_text(w.node -> 'signals') with ordinality as named (n, o)
  ),
  (w.node -> 'signals')::text
from step s
join run r on r.id = s.run_id
cross join lateral (select convert_from(s.detail, 'UTF8')::json -> 'inner' -> 'node' as node) w
where s.status = 'waiting' and position('"inner":{"kind":"signal"'::bytea in s.detail) > 0 and r.ended is null
on conflict (run, wait) do nothing;
