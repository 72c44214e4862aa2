-- name: bench_clone_runs
-- Makes a run for each (id $2, partition $3) that is like run $1, which waits. It is $4 milliseconds older, and has
-- completed after $5 milliseconds, if that is not null.
insert into run (id, partition, workflow, fingerprint, status, created, updated, ended, start_id, input, output,
  failure, step_sequence, run_sequence, done, total, due, tags, trace, mail)
select u.id, u.partition, r.workflow, r.fingerprint, case when u.took is null then r.status else 'completed' end,
  r.created - u.age, coalesce(r.created - u.age + u.took, r.updated), r.created - u.age + u.took, u.id, r.input,
  r.output, r.failure, r.step_sequence, r.run_sequence, case when u.took is null then r.done else r.total end,
  r.total, r.due, r.tags, r.trace, r.mail
from run r
cross join unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[]) as u (id, partition, age, took)
where r.id = $1

-- name: bench_clone_steps
-- Gives each of the runs $2 steps like those of run $1.
insert into step (run_id, name, status, attempt, output, failure, started, finished, worker, due, deadline, losses)
select u.id, s.name, s.status, s.attempt, s.output, s.failure, s.started, s.finished, s.worker, s.due, s.deadline,
  s.losses
from step s
cross join unnest($2::text[]) as u (id)
where s.run_id = $1

-- name: bench_clone_timers
-- Gives each of the runs (id $2, partition $3) timers like those of run $1.
insert into timer (kind, key, name, partition, due)
select t.kind, u.id, t.name, u.partition, t.due
from timer t
cross join unnest($2::text[], $3::int[]) as u (id, partition)
where t.kind = 'run' and t.key = $1

-- name: bench_analyze
-- Lets nothing be left to do in the background for what was just written.
vacuum analyze

-- name: bench_checkpoint
-- The same, for the disk.
checkpoint

-- name: bench_grow_runs
-- Makes runs $1 to $2 as the first migration has them.
insert into run (id, partition, workflow, fingerprint, status, created, updated, ended, start_id, input, output,
  failure, step_sequence, run_sequence, done, total)
select 'run-' || n, n % 8, 'flow-' || n % 20, 'f', 'completed', n, n, n, 's', '{}', '1',
  case when n % 50 = 0 then '{}'::bytea end, 3, 2, 3, 3
from generate_series($1::bigint, $2::bigint) n

-- name: bench_grow_steps
-- Gives each of the runs $1 to $2 three steps.
insert into step (run_id, name, status, attempt, output, losses)
select 'run-' || n, 'step-' || s, 'completed', 1, '1', 0
from generate_series($1::bigint, $2::bigint) n
cross join generate_series(1, 3) s

-- name: bench_write
-- What a small batch writes, with the columns of the first migration: a run $1 and its step, and a change to run $2.
with run_in as (
  insert into run (id, partition, workflow, fingerprint, status, created, updated, start_id, input, step_sequence,
    run_sequence, done, total)
  values ($1, 0, 'flow', 'f', 'running', 1, 1, 's', '{}', 1, 1, 0, 3)
),
step_in as (
  insert into step (run_id, name, status, attempt, losses) values ($1, 'step-1', 'running', 1, 0)
)
update run set updated = updated + 1, run_sequence = run_sequence + 1 where id = $2

-- name: bench_now
-- The server's clock.
select clock_timestamp()

-- name: bench_is_counted
-- Whether no server process of database $1 has counts from before $2 that it has not handed in: one hands in when it
-- becomes idle a second after the last time, or has been idle for ten.
select not exists (
  select from pg_stat_activity
  where datname = $1 and backend_type = 'client backend' and application_name = 'stream_durable' and not (
    state = 'idle' and (
      query_start > $2::timestamptz + interval '1 second' or state_change < clock_timestamp() - interval '11 seconds'
    )
  )
)

-- name: bench_is_gone
-- Whether server process $1 has ended; it has handed in its counts before that.
select not exists (select from pg_stat_activity where pid = $1)

-- name: bench_counted
-- Transactions in database $1 so far, and bytes of the write-ahead log of all.
select xact_commit + xact_rollback as transactions, (pg_current_wal_insert_lsn() - '0/0')::bigint as wal
from pg_stat_database
where datname = $1

-- name: bench_rows
-- Rows written so far, by table.
select relname::text, n_tup_ins + n_tup_upd + n_tup_del
from pg_stat_user_tables
order by relname
