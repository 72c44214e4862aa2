-- name: run_load
-- The rows of the runs $1, in the order of RunRow.
select id, partition, workflow, fingerprint, status, created, updated, ended, start_id, input, output, failure,
  step_sequence, run_sequence, done, total, due, tags, trace, mail, queue, priority, metadata, parent,
  parent_step, depth, attempt, context, requests, started, lanes, attributes, inputs
from run
where id = any($1::text[])

-- name: step_load
-- The rows of the steps of the runs $1, in the order of StepRow.
select run_id, name, status, attempt, output, failure, started, finished, worker, due, deadline, losses,
  sequence, detail
from step
where run_id = any($1::text[])

-- name: run_signal_load
-- The signals of the runs $1.
select run_id, position, id, name, data, sent_by, came, expires
from run_signal
where run_id = any($1::text[])

-- name: channel_event_load
-- The events that the channels $1 keep.
select channel, id, data, expires, wakes_to, published, taken, run, wait, attempt, is_used, number, sent_by
from channel_event
where channel = any($1::text[])

-- name: channel_wait_load
-- The waits that are open on the channels $1.
select channel, run, wait, position, attempt, takes, cursor, given
from channel_wait
where channel = any($1::text[])

-- name: gate_load
-- What the gates $1 remember.
select name, body
from gate
where name = any($1::text[])

-- name: gate_place_load
-- Who has passed the gates $1 or waits before them.
select gate, run, step, attempt, ordinal, is_inside, passes, priority, share, units, since, lease
from gate_place
where gate = any($1::text[])

-- name: gate_turn_load
-- The keys that take turns at the gates $1.
select gate, share, turn
from gate_turn
where gate = any($1::text[])

-- name: later_load
-- The messages for later of the ids $1.
select id, due, timer, outcome, body
from later
where id = any($1::text[])

-- name: admission_load
-- The admissions $1.
select id, body
from admission
where id = any($1::text[])

-- name: admission_member_load
-- The runs at the admissions $1.
select admission, run, stage, attempt, ordinal, since, priority, is_again, taker, lease, input, asked
from admission_member
where admission = any($1::text[])

-- name: schedule_load
-- The schedules $1.
select id, body
from schedule
where id = any($1::text[])

-- name: schedule_firing_load
-- The firings of the schedules $1.
select schedule, run, moment, cause, status, at, ended, failure
from schedule_firing
where schedule = any($1::text[])

-- name: timer_window
-- At most $7 timers of partition $1 beyond ($2 due, $3 kind, $4 key, $5 name) and due by $6.
select due, kind, key, name
from timer
where partition = $1
  and (due, kind, key, name) > ($2, $3, $4, $5)
  and due <= $6
order by due, kind, key, name
limit $7

-- name: run_unfinished
-- At most $4 runs of partition $1 beyond ($2 created, $3 id) that have not ended. Read by the index of all that have
-- not ended: it is seldom asked, and an index for it would have to be written to at every start and end of a run.
select created, id
from run
where partition = $1 and (created, id) > ($2, $3) and ended is null
order by created, id
limit $4

-- name: outbox_left
-- What the last owner of partition $1 may not have said.
select from_offset, body
from outbox
where partition = $1
order by from_offset

-- name: backlog_left
-- What is held back in partition $1.
select from_offset, commands
from backlog
where partition = $1
order by from_offset

-- name: backlog_row
-- The commands of partition $1 held back since offset $2.
select body
from backlog
where partition = $1 and from_offset = $2
