-- part: run_was_not_asked_to_end
-- Whether a run that was undone was undone for a failure, and not because somebody cancelled it.
    status <> 'compensated'
    or convert_from(failure, 'UTF8')::json ->> 'code' <> 'cancelled'
    or convert_from(failure, 'UTF8')::json ->> 'step' is not null

-- part: run_conditions
-- Which runs are meant. What is null is no condition: $1 workflow, $2 fingerprint, $3 statuses, $4 whether they
-- are open, $5 whether they have a failure, $6 tag as JSON, $7 queue, $8 parent, $9 created since, $10 and before,
-- $11 updated since, $12 and before, $13 bytes that the input holds, $14 whether those are left out that were
-- undone because somebody asked for their end, $15 in bits: 1 if a step has to be held, 2 if something is overdue,
-- $16 the first id, $17 and the end of ids, $18 text that an attribute
-- holds, $19 trigger, $20 schedule, $21 code of the failure, $22 step that failed, empty: none. $4 and $5 follow from $3; said outright they let partial indexes apply.
  and ($1::text is null or workflow = $1)
  and ($2::text is null or fingerprint = $2)
  and ($3::text[] is null or status = any($3::text[]))
  and ($4::boolean is null or (ended is null) = $4)
  and ($5::boolean is null or (failure is not null) = $5)
  and ($6::text is null or (
    strpos(tags, $6) > 0
    and exists (select from json_array_elements(tags::json) as held (tag) where held.tag::text = $6)))
  and ($7::text is null or coalesce(queue, 'default') = $7)
  and ($8::text is null or parent = $8)
  and ($9::bigint is null or created >= $9)
  and ($10::bigint is null or created < $10)
  and ($11::bigint is null or updated >= $11)
  and ($12::bigint is null or updated < $12)
  and ($13::bytea is null or position($13::bytea in input) > 0)
  and (not $14::boolean or
-- include run_was_not_asked_to_end
  )
  -- The index knows the word; it may also be in what somebody has changed.
  and ($15::integer & 1 = 0 or (requests is not null and position('"held":'::bytea in requests) > 0
    and convert_from(requests, 'UTF8')::json -> 'held' is not null))
  and ($15::integer & 2 = 0 or (requests is not null and position('"overdue":'::bytea in requests) > 0
    and convert_from(requests, 'UTF8')::json -> 'overdue' is not null))
  and ($15::integer & 4 = 0 or convert_from(requests, 'UTF8')::json -> 'reviewed' is not null)
  and ($15::integer & 8 = 0 or convert_from(requests, 'UTF8')::json -> 'reviewed' is null)
  and ($16::text is null or id >= $16)
  and ($17::text is null or id < $17)
  and ($18::text is null or exists (
    select from run_attribute a
    where a.run_id = id and a.value >= 't' and strpos(substr(a.value, 2), $18) > 0))
  and ($19::text is null
    or case when parent is null then coalesce(convert_from(requests, 'UTF8')::json ->> 'trigger', 'client')
      else 'parent' end = $19)
  and ($20::text is null or convert_from(requests, 'UTF8')::json -> 'scheduled' ->> 0 = $20)
  and ($21::text is null or convert_from(failure, 'UTF8')::json ->> 'code' = $21)
  and ($22::text is null
    or failure is not null and coalesce(convert_from(failure, 'UTF8')::json ->> 'step', '') = $22)

-- part: run_attribute_tests
-- What attributes of a run are held to: $23 names, $24 from which value on, $25 and before which, $26 or not between
-- them, $27 text within.
  and not exists (
    select
    from unnest($23::text[], $24::text[], $25::text[], $26::boolean[], $27::text[]) as t (name, low, high, is_not, held)
    where not exists (
      select
      from run_attribute a
      where a.run_id = id and a.name = t.name and (a.value >= t.low and a.value < t.high) <> t.is_not
        and (t.held is null or strpos(substr(a.value, 2), t.held) > 0)
    )
  )

-- part: run_attribute_found
-- The runs with the attribute $28 from value $29 on and before $30: a range of an index, to begin with.
  and id in (
    select f.run_id
    from run_attribute f
    where f.name = $28 and ($1::text is null or f.workflow = $1) and f.value >= $29 and f.value < $30
  )

-- part: run_summary
id, workflow, fingerprint, status, created, updated, ended, done, total, tags, failure, queue, priority,
  metadata, parent, parent_step, attempt, started, requests, attributes

-- part: run_place_23
case $23::text when 'updated' then updated when 'started' then started
  when 'duration' then ended - coalesce(started, created) else created end

-- part: run_place_31
case $31::text when 'updated' then updated when 'started' then started
  when 'duration' then ended - coalesce(started, created) else created end

-- name: view_run_list
-- At most $25 runs beyond ($23 created, $24 id), newest first.
select
-- include run_summary
from run
where (created, id) < ($23, $24)
-- include run_conditions
order by created desc, id desc
limit $25

-- name: view_run_list_up
-- At most $26 runs beyond ($24 value, $25 id) by the moment or time $23, the least first.
select
-- include run_summary
from run
where (
-- include run_place_23
, id) > ($24::bigint, $25)
  -- Said outright, since the index has the ended ones alone.
  and ($23::text <> 'duration' or ended is not null)
-- include run_conditions
order by
-- include run_place_23
, id
limit $26

-- name: view_run_list_down
-- The same, the greatest first.
select
-- include run_summary
from run
where (
-- include run_place_23
, id) < ($24::bigint, $25)
  and ($23::text <> 'duration' or ended is not null)
-- include run_conditions
order by
-- include run_place_23
desc, id desc
limit $26

-- name: view_run_where_up
-- At most $34 runs with such attributes beyond ($32 value, $33 id) by the moment or time $31, the least first.
select
-- include run_summary
from run
where (
-- include run_place_31
, id) > ($32::bigint, $33)
-- include run_conditions
-- include run_attribute_tests
-- include run_attribute_found
order by
-- include run_place_31
, id
limit $34

-- name: view_run_where_down
-- The same, the greatest first.
select
-- include run_summary
from run
where (
-- include run_place_31
, id) < ($32::bigint, $33)
-- include run_conditions
-- include run_attribute_tests
-- include run_attribute_found
order by
-- include run_place_31
desc, id desc
limit $34

-- name: view_run_by_attribute_up
-- At most $33 runs with the attribute $28, from value $29 on and before $30, beyond ($31 value, $32 id), the least
-- first.
select
-- include run_summary
from (
  select run_id, value
  from run_attribute
  where name = $28 and ($1::text is null or workflow = $1) and value >= $29 and value < $30
    and (value, run_id) > ($31, $32)
) s
join run on id = run_id
where true
-- include run_conditions
-- include run_attribute_tests
order by s.value, s.run_id
limit $33

-- name: view_run_by_attribute_down
-- The same, the greatest first.
select
-- include run_summary
from (
  select run_id, value
  from run_attribute
  where name = $28 and ($1::text is null or workflow = $1) and value >= $29 and value < $30
    and (value, run_id) < ($31, $32)
) s
join run on id = run_id
where true
-- include run_conditions
-- include run_attribute_tests
order by s.value desc, s.run_id desc
limit $33

-- name: view_run_count
-- How many runs there are, $23 at most.
select count(*)
from (
  select
  from run
  where true
-- include run_conditions
  limit $23
) found

-- name: view_run_count_where
-- How many runs with such attributes there are, $31 at most.
select count(*)
from (
  select
  from run
  where true
-- include run_conditions
-- include run_attribute_tests
-- include run_attribute_found
  limit $31
) found

-- name: view_run_statuses
-- How many runs stand in each status, of $23 runs at most.
select status, count(*)
from (
  select status
  from run
  where true
-- include run_conditions
  limit $23
) found
group by status
order by status

-- name: view_run_statuses_where
-- How many runs with such attributes stand in each status, of $31 runs at most.
select status, count(*)
from (
  select status
  from run
  where true
-- include run_conditions
-- include run_attribute_tests
-- include run_attribute_found
  limit $31
) found
group by status
order by status

-- name: view_run_children
-- How many runs the steps of run $1 have started.
select count(*)
from run
where parent = $1

-- name: view_child_counts
-- How many runs the steps of each of runs $1 have started; those of which none did are left out.
select parent, count(*)
from run
where parent = any($1::text[])
group by parent

-- name: view_workflow_figures
-- By workflow: runs that have not ended, those of them that wait, dead letters, the runs created since $1 and those of
-- them that completed, and the newest run. Each part is found by an index of its own.
with open_runs as (
  select workflow, count(*) as runs, count(*) filter (where status = 'waiting') as waiting
  from run
  where ended is null
  group by workflow
),
lost as (
  select workflow, count(*) as runs
  from run
  where failure is not null
    and status in ('failed', 'compensated', 'compensation_failed')
    and (
-- include run_was_not_asked_to_end
    )
  group by workflow
),
recent as (
  select workflow, count(*) as runs, count(*) filter (where status = 'completed') as completed
  from run
  where created >= $1
  group by workflow
)
select w.workflow, coalesce(o.runs, 0), coalesce(o.waiting, 0), coalesce(l.runs, 0), coalesce(n.runs, 0),
  coalesce(n.completed, 0), newest.created, newest.status
from unnest($2::text[]) as w (workflow)
left join open_runs o on o.workflow = w.workflow
left join lost l on l.workflow = w.workflow
left join recent n on n.workflow = w.workflow
left join lateral (
  select created, status
  from run r
  where r.workflow = w.workflow
  order by created desc, id desc
  limit 1
) newest on true
order by w.workflow

-- name: view_run_family
-- At most $2 runs of the family of run $1: its first ancestor, the way down to the run, then the others
-- generation by generation.
with recursive above as (
  select id, parent, 0 as up from run where id = $1
  union all
  -- A run is at most 100 generations below its first ancestor.
  select r.id, r.parent, a.up + 1 from above a join run r on r.id = a.parent where a.up < 1000
),
family as (
  select a.id
  from above a
  where not exists (select from run p where p.id = a.parent)
  union all
  select r.id from family f join run r on r.parent = f.id
),
-- Limited here, so that no more of the family is looked for than is asked for.
others as materialized (
  select f.id, row_number() over () as place
  from family f
  where not exists (select from above a where a.id = f.id)
  limit greatest($2 - (select count(*) from above), 0)
),
chosen as materialized (
  (select id, -up as place from above order by up desc limit $2)
  union all
  select id, place from others
)
select r.id, r.workflow, r.fingerprint, r.status, r.created, r.updated, r.ended, r.done, r.total, r.tags, r.failure,
  r.queue, r.priority, r.metadata, r.parent, r.parent_step, r.attempt,
  r.started, r.requests, r.attributes
from chosen c
join run r on r.id = c.id
order by c.place

-- name: view_step_list
-- At most $3 steps of run $1 beyond name $2, in the order of StepRow.
select run_id, name, status, attempt, output, failure, started, finished, worker, due, deadline, losses,
  sequence, detail
from step
where run_id = $1 and name > $2
order by name
limit $3

-- name: view_attempt_list
-- At most $5 attempts of run $1 and of step $2 (null: of all) beyond ($3 step, $4 attempt), as AttemptRow.
select run_id, step, attempt, partition, status, started, finished, worker, failure, logs
from attempt
where run_id = $1
  and ($2::text is null or step = $2)
  and (step, attempt) > ($3, $4)
order by step, attempt
limit $5

-- name: view_run_ids
-- At most $3 ids of runs from $1 on and before $2.
select id
from run
where id >= $1 and id < $2
order by id
limit $3

-- name: view_gate_list
-- At most $2 gates beyond id $1, or the gate $3, with how many wait and are inside, and the time.
select g.name, g.body,
  (select count(*)::int from gate_place p where p.gate = g.name and not p.is_inside) as waiting,
  (select count(*)::int from gate_place p where p.gate = g.name and p.is_inside) as inside,
  (extract(epoch from now()) * 1000)::bigint as now
from gate g
where g.name > $1 and ($3::text is null or g.name = $3)
order by g.name
limit $2

-- name: view_gate_places
-- At most $3 places of the gate $1 beyond ordinal $2, of those that are inside, or wait, as $4 says.
select run, step, attempt, ordinal, is_inside, priority, share, units, since, lease
from gate_place
where gate = $1 and ordinal > $2 and ($4::boolean is null or is_inside = $4)
order by ordinal
limit $3

-- name: view_admission_list
-- At most $2 admissions beyond id $1 with runs that wait or are under way, how many, and when those that wait asked.
select a.id, a.body, m.waiting, m.under_way, m.first, m.last
from admission a
cross join lateral (
  select count(*)::int as known,
    (count(*) filter (where stage in ('waiting', 'joined')))::int as waiting,
    (count(*) filter (where stage in ('let_in', 'begun', 'replaced')))::int as under_way,
    min(since) filter (where stage = 'waiting') as first, max(since) filter (where stage = 'waiting') as last
  from admission_member
  where admission = a.id and stage <> 'settled'
) m
where a.id > $1 and m.known > 0
order by a.id
limit $2

-- name: view_admission_get
-- The admission $1, how many of its runs wait and are under way, and when those that wait asked.
select a.id, a.body,
  (count(*) filter (where m.stage in ('waiting', 'joined')))::int as waiting,
  (count(*) filter (where m.stage in ('let_in', 'begun', 'replaced')))::int as under_way,
  min(m.since) filter (where m.stage = 'waiting') as first, max(m.since) filter (where m.stage = 'waiting') as last
from admission a
left join admission_member m on m.admission = a.id
where a.id = $1
group by a.id

-- name: view_admission_members
-- At most $3 runs at the admission $1 beyond ordinal $2 of which more is to come.
select run, stage, ordinal, since, priority, taker
from admission_member
where admission = $1 and ordinal > $2 and stage <> 'settled'
order by ordinal
limit $3

-- name: view_failure_causes
-- At most $3 causes of the $2 newest runs that failed and nobody has reviewed, of those created since $1.
with failed as (
  select id, workflow, status, ended, convert_from(failure, 'UTF8')::json as failure
  from run
  where failure is not null and status in ('failed', 'compensation_failed') and created >= $1
    and convert_from(requests, 'UTF8')::json -> 'reviewed' is null
  order by created desc
  limit $2
)
select workflow, status, coalesce(failure ->> 'step', '') as step, failure ->> 'code' as code, count(*) as runs,
  max(ended) as last, (array_agg(id order by ended desc, id desc))[1] as last_run
from failed
group by workflow, status, step, code
order by status = 'compensation_failed' desc, runs desc, last desc, workflow, step, code
limit $3

-- name: view_stranded_steps
-- Runs by the step that a worker gave back since its code has no such function. Such a step is asked for again within
-- seconds, so it has a timer: at most $3 timers due from $1 to $2 are looked at.
with due as (
  select t.key, t.name
  from partition p
  cross join lateral (
    select key, name, due from timer where partition = p.id and due between $1 and $2 and kind = 'run' and name <> ''
    order by due
    limit $3
  ) t
  order by t.due
  limit $3
),
stranded as (
  select r.workflow, s.name as step, r.id, s.worker, convert_from(s.failure, 'UTF8')::json as failure,
    coalesce((select max(finished) from step where run_id = r.id), r.created) as since
  from due
  join step s on s.run_id = due.key and s.name = due.name
  join run r on r.id = s.run_id
  where s.status = 'ready' and s.failure is not null
)
select workflow, step, count(*) as runs, min(since) as since, (array_agg(id order by since, id))[1] as run,
  coalesce((array_agg(worker order by since, id))[1], '') as worker,
  coalesce((array_agg(failure ->> 'message' order by since, id))[1], '') as message
from stranded
where failure ->> 'code' = 'not_carried'
group by workflow, step
order by runs desc, workflow, step

-- name: view_run_flow
-- For each of $3 stretches of $2 ms from $1 on: how many runs were created in it, and how many of these failed; $4 at
-- most of either.
select at,
  (select count(*) from (select from run where created >= at and created < at + $2 limit $4) made) as created,
  (
    select count(*)
    from (
      select
      from run
      where failure is not null and status in ('failed', 'compensation_failed') and created >= at and created < at + $2
      limit $4
    ) lost
  ) as failed
from generate_series($1::bigint, $1::bigint + $2::bigint * ($3::bigint - 1), $2::bigint) as at
order by at

-- name: view_dead_count
-- How many records since $1 could not be applied; $2 at most.
select count(*)
from (
  select
  from dead_letter
  where log_time >= $1
  limit $2
) found

-- name: view_live_versions
-- How many runs have not ended, by workflow and version.
select workflow, fingerprint, count(*)
from run
where ended is null
group by workflow, fingerprint
order by workflow, fingerprint

-- name: view_live_runs
-- Of the runs of workflow $1 at version $2 that have not ended: those whose step $3 is in none of statuses $4
-- (null: all of them), as their number and the first $5 ids. A step without a row is in none.
with live as (
  select r.id, r.created
  from run r
  where r.ended is null and r.workflow = $1 and r.fingerprint = $2
    and ($3::text is null or not exists (
      select 1
      from step s
      where s.run_id = r.id and s.name = $3 and s.status = any($4::text[])
    ))
)
select
  (select count(*) from live),
  array(select id from live order by created, id limit $5)

-- name: view_event_waits
-- At most $8 open waits for events beyond ($1 channel, $2 run, $3 wait). What is null is no condition: $4 and $5
-- between which channels, $6 key, $7 workflow. A reaction has no step, but a number of events not worked off.
select w.channel, w.run, w.wait, r.workflow, case when w.cursor is null then s.started else r.started end, s.due,
  case when w.cursor is not null then (
    select count(*)
    from channel_event e
    where e.channel = w.channel and e.number > w.cursor
  ) end
from channel_wait w
join run r on r.id = w.run
left join step s on s.run_id = w.run and s.name = w.wait
where (w.channel, w.run, w.wait) > ($1, $2, $3)
  and ($4::text is null or w.channel >= $4)
  and ($5::text is null or w.channel < $5)
  and ($6::text is null or substr(w.channel, strpos(w.channel, '/') + 1) = $6)
  and ($7::text is null or r.workflow = $7)
  and r.ended is null
  and (s.status = 'waiting' or w.cursor is not null)
order by w.channel, w.run, w.wait
limit $8

-- part: signal_wait_conditions
-- $3 created, $4 run and $5 step are the position of the last one; $6 workflow, null: of any.
where r.ended is null
  and r.created >= $3
  and (r.created, r.id, wanted.step collate "C") > ($3, $4, $5)
  and ($6::text is null or r.workflow = $6)
order by r.created, r.id, wanted.step collate "C"
limit $8

-- name: view_signal_waits
-- At most $8 open waits for signals, those of the oldest runs first: steps $2 of definitions $1 wait for signals, or
-- react to signals $7 (null: a wait). A reaction has no step, but a number of signals not worked off: kept ones, and
-- those with a call that waits or is under way.
select *
from (
  (
    select r.created, r.id, wanted.step collate "C" as step, r.workflow, r.fingerprint, s.started, s.due, null::bigint as behind
    from run r
    join step s on s.run_id = r.id and s.status = 'waiting'
    join unnest($1::text[], $2::text[], $7::text[]) as wanted (fingerprint, step, reacts_to)
      on wanted.fingerprint = r.fingerprint and wanted.step = s.name and wanted.reacts_to is null
-- include signal_wait_conditions
  )
  union all
  (
    select r.created, r.id, wanted.step collate "C", r.workflow, r.fingerprint, r.started, null, (
        select count(*)
        from run_signal g
        where g.run_id = r.id and g.name = wanted.reacts_to and g.data is not null
      ) + (
        select count(*)
        from step s
        where s.run_id = r.id
          and starts_with(s.name, wanted.step || '.')
          and s.status not in ('completed', 'failed', 'skipped', 'cancelled')
      )
    from run r
    join unnest($1::text[], $2::text[], $7::text[]) as wanted (fingerprint, step, reacts_to)
      on wanted.fingerprint = r.fingerprint and wanted.reacts_to is not null
-- include signal_wait_conditions
  )
) found
order by created, id, step
limit $8

-- name: view_inner_waits
-- At most $6 open signal waits inside steps beyond ($1 created, $2 run, $3 wait), those of the oldest runs first. What
-- is null is no condition: $4 workflow, $5 signal.
select w.created, w.run, w.wait, w.workflow, r.fingerprint, s.started, s.due, null::bigint as behind, w.name
from signal_wait w
join run r on r.id = w.run
join step s on s.run_id = w.run and s.name = w.wait
where (w.created, w.run, w.wait) > ($1, $2, $3)
  and ($4::text is null or w.workflow = $4)
  and ($5::text is null or jsonb_exists(w.signals::jsonb, $5))
  and r.ended is null
  and s.status = 'waiting'
order by w.created, w.run, w.wait
limit $6

-- name: view_behind
-- For reactions $2 of run $1 to the events of channels $3, or to signals $4 (null: to events): how many events, or
-- kept signals, they have not worked off. A reaction to events that is not registered is left out.
select asked.reaction, case when asked.channel is null then (
    select count(*)
    from run_signal g
    where g.run_id = $1 and g.name = asked.signal and g.data is not null
  ) else (
    select count(*)
    from channel_event e
    where e.channel = asked.channel and e.number > w.cursor
  ) end
from unnest($2::text[], $3::text[], $4::text[]) as asked (reaction, channel, signal)
left join channel_wait w on w.channel = asked.channel and w.run = $1 and w.wait = asked.reaction
where asked.channel is null or w.cursor is not null

-- name: view_open_questions
-- At most $11 open questions beyond ($1 opened, $2 run, $3 step), the oldest first. What is null is no condition:
-- $4 workflow, $5 step, $6 role, $7 assignee, $8 tag of the run as JSON, $9 before which moment they expire, and $10
-- are due.
select q.opened, q.run, q.step, q.workflow, q.fingerprint, q.attempt, q.prompt, q.role, q.assignee, q.due, q.expires,
  r.tags
from question q
join run r on r.id = q.run
where (q.opened, q.run, q.step) > ($1, $2, $3)
  and ($4::text is null or q.workflow = $4)
  and ($5::text is null or q.step = $5)
  and ($6::text is null or q.role = $6)
  and ($7::text is null or q.assignee = $7)
  and ($8::text is null or (
    strpos(r.tags, $8) > 0
    and exists (select from json_array_elements(r.tags::json) as held (tag) where held.tag::text = $8)))
  and ($9::bigint is null or q.expires < $9)
  and ($10::bigint is null or q.due < $10)
order by q.opened, q.run, q.step
limit $11

-- name: view_kept_events
-- At most $7 events that channels keep, beyond ($1 channel, $2 id); $3 and $4 between which channels, $5 key, as in
-- view_event_waits; $6 whether only those that nobody took.
select e.channel, e.id, e.data, e.expires, e.published, e.taken, e.sent_by
from channel_event e
where (e.channel, e.id) > ($1, $2)
  and ($3::text is null or e.channel >= $3)
  and ($4::text is null or e.channel < $4)
  and ($5::text is null or substr(e.channel, strpos(e.channel, '/') + 1) = $5)
  and (not $6::boolean or e.taken is null)
order by e.channel, e.id
limit $7

-- name: view_expired_events
-- At most $6 events that expired before anybody had them, beyond ($1 channel, $2 id); $3 and $4 between which channels,
-- $5 key, as in view_event_waits.
select e.channel, e.id, null, e.expired, e.published, null, e.sent_by
from channel_expired e
where (e.channel, e.id) > ($1, $2)
  and ($3::text is null or e.channel >= $3)
  and ($4::text is null or e.channel < $4)
  and ($5::text is null or substr(e.channel, strpos(e.channel, '/') + 1) = $5)
order by e.channel, e.id
limit $6

-- name: view_later
-- At most $3 messages for later, beyond ($1 due, $2 id), by when they are sent; starts are runs that have not begun.
select due, id, body
from (
  select due, id, body
  from later
  where outcome = ''
  union all
  select due, 'start:' || id, null
  from run
  where ended is null and status = 'pending' and due is not null and started is null
) found
where (due, id) > ($1, $2)
order by due, id
limit $3

-- name: view_schedule_list
-- At most $3 schedules beyond name $1, by name; an id with $2 in it is not one of a schedule.
select id, body
from schedule
where id > $1 and strpos(id, $2) = 0
order by id
limit $3

-- name: view_run_signals
-- The signals that run $1 keeps, and those that expired, oldest first.
select id, name, data is not null, sent_by, came, expires
from run_signal
where run_id = $1 and name is not null
order by position

-- name: view_run_evidence
-- At most $3 messages to run $1, by log time $2 or later, that were duplicate, late or dead. Shares without such
-- messages are left out by an index; the others are read column by column.
select (r.j -> 'times' ->> at.i)::bigint, (r.j -> 'types' ->> at.i)::int, (r.j -> 'outcomes' ->> at.i)::int,
  d.code, d.reason, r.j -> 'senders' ->> at.i::text
from run
join evidence e on e.partition = run.partition and e.exceptions > 0 and e.clock >= $2
cross join lateral (select convert_from(e.records, 'UTF8')::json as j) r
cross join lateral (
  select o.n::int - 1 as i, o.key
  from json_array_elements_text(r.j -> 'keys') with ordinality as o (key, n)
) at
left join dead_letter d on d.partition = e.partition and d.generation = e.generation
  and d.log_offset = (r.j -> 'offsets' ->> at.i)::bigint
where run.id = $1 and at.key = $1 and (r.j -> 'outcomes' ->> at.i)::int > 0
order by e.generation, e.from_offset, at.i
limit $3

-- name: view_overdue_timers
-- At most $2 timers that were due before $1 and are still there, the oldest first, in the order of TimerRow.
select t.kind, t.key, t.name, t.partition, t.due
from partition p
cross join lateral (
  select kind, key, name, partition, due
  from timer
  where partition = p.id and due < $1
  order by due, kind, key, name
  limit $2
) t
order by t.due, t.kind, t.key, t.name
limit $2
