-- name: bench_clone_runs
-- Makes a run for each (id $2, partition $3) that is like run $1, which waits.
insert into run (id, partition, workflow, fingerprint, status, created, updated, ended, start_id, input, output,
  failure, step_sequence, run_sequence, done, total, due, tags, trace, mail)
select u.id, u.partition, r.workflow, r.fingerprint, r.status, r.created, r.updated, r.ended, u.id, r.input,
  r.output, r.failure, r.step_sequence, r.run_sequence, r.done, r.total, r.due, r.tags, r.trace, r.mail
from run r
cross join unnest($2::text[], $3::int[]) as u (id, partition)
where r.id = $1

-- name: bench_clone_steps
-- Gives each of the runs $2 steps like those of run $1.
insert into step (run_id, name, status, attempt, output, failure, started, finished, worker, due, deadline, losses)
select u.id, s.name, s.status, s.attempt, s.output, s.failure, s.started, s.finished, s.worker, s.due, s.deadline,
  s.losses
from step s
cross join unnest($2::text[]) as u (id)
where s.run_id = $1

-- name: bench_analyze
-- Lets nothing be left to do in the background for what was just written.
vacuum analyze

-- name: bench_checkpoint
-- The same, for the disk.
checkpoint
