-- name: view_run_list
-- At most $5 runs beyond ($3 created, $4 id), newest first, of statuses $1 (null: all) and workflow $2 (null: all).
select id, workflow, fingerprint, status, created, updated, ended, done, total, tags, failure
from run
where (created, id) < ($3, $4)
  and ($1::text[] is null or status = any($1::text[]))
  and ($2::text is null or workflow = $2)
order by created desc, id desc
limit $5

-- name: view_step_list
-- At most $3 steps of run $1 beyond name $2, in the order of StepRow.
select run_id, name, status, attempt, output, failure, started, finished, worker, due, deadline, losses
from step
where run_id = $1 and name > $2
order by name
limit $3

-- name: view_run_ids
-- At most $3 ids of runs from $1 on and before $2.
select id
from run
where id >= $1 and id < $2
order by id
limit $3
