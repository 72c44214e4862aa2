-- name: batch_commit
-- Saves a batch of all partitions of one owner, or nothing: one row out, true when saved.
-- $1 shares, $2 runs, $3 run changes, $4 steps, $5 outbox marks, $6 timers, $7 dead letters, and then the other rows
-- of entities as `core/entities.py` lists their tables: $8 attempts, $9 signals, $10 events, $11 waits, $12 gates,
-- $13 places at gates, $14 questions, $15 messages for later, $16 schedules, $17 firings, $18 events
-- that nobody had, $19 keys that take turns at gates, $20 attributes of runs, $21 admissions, $22 runs at admissions,
-- $23 signal waits inside steps; $24 held commands,
-- $25 marks of those that are published
-- Rows come as arrays of composites: one function scan each, where a column each would cost one per column.
-- What is marked as seldom is left out of the statement for a batch that has nothing from $6 on: each part that
-- writes to a table makes ready for it, whether or not there is a row. What is marked as rare is left out where nobody
-- is asked, nothing comes for later, no schedule is concerned, no event expires that nobody had, no keys take turns at gates,
-- no run gets an attribute, no admission is asked, no step waits inside for a signal, and nothing is held back.
with share as materialized (
  select * from unnest($1::share_state[])
),
held as (
  select p.id
  from share u
  join partition p on p.id = u.partition and p.owner_token = u.token and p.next_offset = u.from_offset
  for update of p
),
fits as materialized (
  select count(*) = cardinality($1::share_state[]) as ok from held
),
moved as (
  update partition p
  set next_offset = u.to_offset, log_clock = u.clock, leader_epoch = u.leader_epoch,
    fingerprint = u.fingerprint, stalls = 0, format = u.format
  from share u
  where p.id = u.partition and (select ok from fits)
),
evidence_in as (
  insert into evidence (partition, generation, from_offset, to_offset, clock, exceptions, records)
  select u.partition, u.generation, u.from_offset, u.to_offset, u.clock, u.exceptions, u.evidence
  from share u
  where u.to_offset > u.from_offset and (select ok from fits)
),
outbox_in as (
  insert into outbox (partition, from_offset, body)
  select u.partition, u.from_offset, u.outbox
  from share u
  where u.outbox is not null and (select ok from fits)
),
runs_in as (
  insert into run (id, partition, workflow, fingerprint, status, created, updated, ended, start_id, input,
    output, failure, step_sequence, run_sequence, done, total, due, tags, trace, mail, queue, priority, metadata,
    parent, parent_step, depth, attempt, context, requests, started, lanes, attributes, inputs)
  select * from unnest($2::run_written[])
  where (select ok from fits)
),
runs_changed as (
  update run r
  set status = u.status, updated = u.updated, ended = u.ended, output = u.output, failure = u.failure,
    step_sequence = u.step_sequence, run_sequence = u.run_sequence, done = u.done, total = u.total, due = u.due,
    mail = u.mail, attempt = u.attempt, context = coalesce(u.context, r.context), requests = u.requests,
    started = u.started, attributes = coalesce(u.attributes, r.attributes),
    inputs = coalesce(u.inputs, r.inputs)
  from unnest($3::run_moved[]) u
  where r.id = u.id and (select ok from fits)
),
steps_in as (
  insert into step (run_id, name, status, attempt, output, failure, started, finished, worker, due,
    deadline, losses, sequence, detail)
  select * from unnest($4::step_state[])
  where (select ok from fits)
  on conflict (run_id, name) do update
  set status = excluded.status, attempt = excluded.attempt, output = excluded.output,
    failure = excluded.failure, started = excluded.started, finished = excluded.finished,
    worker = excluded.worker, due = excluded.due, deadline = excluded.deadline, losses = excluded.losses,
    sequence = excluded.sequence, detail = excluded.detail
),
-- seldom
events_in as (
  insert into channel_event (channel, id, partition, data, expires, wakes_to, published, taken, run, wait, attempt,
    is_used, number, sent_by)
  select *
  from unnest($10::event_sent[]) u
  where u.data is not null and (select ok from fits)
  on conflict (channel, id) do update
  set data = excluded.data, expires = excluded.expires, wakes_to = excluded.wakes_to,
    published = excluded.published, taken = excluded.taken, run = excluded.run, wait = excluded.wait,
    attempt = excluded.attempt, is_used = excluded.is_used, number = excluded.number,
    sent_by = excluded.sent_by
),
events_out as (
  delete from channel_event e
  using unnest($10::event_sent[]) u
  where e.channel = u.channel and e.id = u.id and u.data is null and (select ok from fits)
),
waits_in as (
  insert into channel_wait (channel, run, wait, partition, position, attempt, takes, cursor, given)
  select *
  from unnest($11::wait_or_read[]) u
  where u.position is not null and (select ok from fits)
  on conflict (channel, run, wait) do update
  set position = excluded.position, attempt = excluded.attempt, takes = excluded.takes, cursor = excluded.cursor,
    given = excluded.given
),
waits_out as (
  delete from channel_wait w
  using unnest($11::wait_or_read[]) u
  where w.channel = u.channel and w.run = u.run and w.wait = u.wait and u.position is null
    and (select ok from fits)
),
timers_in as (
  insert into timer (kind, key, name, partition, due)
  select u.kind, u.key, u.name, u.partition, u.due
  from unnest($6::timer_change[]) u
  where u.due is not null and (select ok from fits)
  on conflict (kind, key, name) do update set due = excluded.due
),
timers_out as (
  delete from timer t
  using unnest($6::timer_change[]) u
  where t.kind = u.kind and t.key = u.key and t.name = u.name and u.due is null and (select ok from fits)
),
dead_in as (
  insert into dead_letter (partition, generation, log_offset, code, reason, key, value, log_time)
  select * from unnest($7::dead_row[])
  where (select ok from fits)
),
attempts_in as (
  insert into attempt (run_id, step, attempt, partition, status, started, finished, worker, failure, logs)
  select * from unnest($8::attempt_state[])
  where (select ok from fits)
  on conflict (run_id, step, attempt) do update
  set status = excluded.status, started = excluded.started, finished = excluded.finished,
    worker = excluded.worker, failure = excluded.failure, logs = excluded.logs
),
gates_in as (
  insert into gate (name, partition, body)
  select *
  from unnest($12::gate_change[]) u
  where u.body is not null and (select ok from fits)
  on conflict (name) do update set body = excluded.body
),
gates_out as (
  delete from gate g
  using unnest($12::gate_change[]) u
  where g.name = u.name and u.body is null and (select ok from fits)
),
places_in as (
  insert into gate_place (gate, run, step, partition, attempt, ordinal, is_inside, passes, priority, share, units,
    since, lease)
  select *
  from unnest($13::gate_passage[]) u
  where u.is_inside is not null and (select ok from fits)
  on conflict (gate, run, step) do update
  set attempt = excluded.attempt, ordinal = excluded.ordinal, is_inside = excluded.is_inside,
    passes = excluded.passes, priority = excluded.priority, share = excluded.share, units = excluded.units,
    since = excluded.since, lease = excluded.lease
),
places_out as (
  delete from gate_place p
  using unnest($13::gate_passage[]) u
  where p.gate = u.gate and p.run = u.run and p.step = u.step and u.is_inside is null and (select ok from fits)
),
signals_in as (
  insert into run_signal (run_id, position, partition, id, name, data, sent_by, came, expires)
  select *
  from unnest($9::signal_sent[]) u
  where u.id is not null and (select ok from fits)
  on conflict (run_id, position) do update
  set id = excluded.id, name = excluded.name, data = excluded.data, sent_by = excluded.sent_by,
    came = excluded.came, expires = excluded.expires
),
signals_out as (
  delete from run_signal s
  using unnest($9::signal_sent[]) u
  where s.run_id = u.run_id and s.position = u.position and u.id is null and (select ok from fits)
),
-- rare
questions_in as (
  insert into question (run, step, partition, opened, workflow, fingerprint, attempt, prompt, role, assignee, due,
    expires)
  select *
  from unnest($14::question_state[]) u
  where u.opened is not null and (select ok from fits)
  on conflict (run, step) do update
  set opened = excluded.opened, attempt = excluded.attempt, prompt = excluded.prompt, role = excluded.role,
    assignee = excluded.assignee, due = excluded.due, expires = excluded.expires
),
questions_out as (
  delete from question q
  using unnest($14::question_state[]) u
  where q.run = u.run and q.step = u.step and u.opened is null and (select ok from fits)
),
laters_in as (
  insert into later (id, partition, due, timer, outcome, body)
  select *
  from unnest($15::later_change[]) u
  where u.due is not null and (select ok from fits)
  on conflict (id) do update
  set due = excluded.due, timer = excluded.timer, outcome = excluded.outcome, body = excluded.body
),
laters_out as (
  delete from later l
  using unnest($15::later_change[]) u
  where l.id = u.id and u.due is null and (select ok from fits)
),
schedules_in as (
  insert into schedule (id, partition, body)
  select *
  from unnest($16::schedule_change[]) u
  where u.body is not null and (select ok from fits)
  on conflict (id) do update set body = excluded.body
),
schedules_out as (
  delete from schedule s
  using unnest($16::schedule_change[]) u
  where s.id = u.id and u.body is null and (select ok from fits)
),
firings_in as (
  insert into schedule_firing (schedule, run, partition, moment, cause, status, at, ended, failure)
  select *
  from unnest($17::firing_change[]) u
  where u.moment is not null and (select ok from fits)
  on conflict (schedule, run) do update
  set moment = excluded.moment, cause = excluded.cause, status = excluded.status, at = excluded.at,
    ended = excluded.ended, failure = excluded.failure
),
firings_out as (
  delete from schedule_firing f
  using unnest($17::firing_change[]) u
  where f.schedule = u.schedule and f.run = u.run and u.moment is null and (select ok from fits)
),
expired_in as (
  insert into channel_expired (channel, id, partition, expired, published, sent_by)
  select *
  from unnest($18::event_expired[]) u
  where (select ok from fits)
  on conflict (channel, id) do update
  set expired = excluded.expired, published = excluded.published, sent_by = excluded.sent_by
),
turns_in as (
  insert into gate_turn (gate, share, partition, turn)
  select *
  from unnest($19::turn_change[]) u
  where u.turn is not null and (select ok from fits)
  on conflict (gate, share) do update set turn = excluded.turn
),
turns_out as (
  delete from gate_turn t
  using unnest($19::turn_change[]) u
  where t.gate = u.gate and t.share = u.share and u.turn is null and (select ok from fits)
),
attributes_in as (
  insert into run_attribute (run_id, name, partition, workflow, value)
  select *
  from unnest($20::attribute_set[]) u
  where (select ok from fits)
  on conflict (run_id, name) do update set value = excluded.value
),
admissions_in as (
  insert into admission (id, partition, body)
  select *
  from unnest($21::admission_change[]) u
  where u.body is not null and (select ok from fits)
  on conflict (id) do update set body = excluded.body
),
admissions_out as (
  delete from admission a
  using unnest($21::admission_change[]) u
  where a.id = u.id and u.body is null and (select ok from fits)
),
members_in as (
  insert into admission_member (admission, run, partition, stage, attempt, ordinal, since, priority, is_again,
    taker, lease, input, asked)
  select *
  from unnest($22::member_asked[]) u
  where u.stage is not null and (select ok from fits)
  on conflict (admission, run) do update
  set stage = excluded.stage, attempt = excluded.attempt, ordinal = excluded.ordinal, since = excluded.since,
    priority = excluded.priority, is_again = excluded.is_again, taker = excluded.taker,
    lease = excluded.lease, input = excluded.input, asked = excluded.asked
),
members_out as (
  delete from admission_member m
  using unnest($22::member_asked[]) u
  where m.admission = u.admission and m.run = u.run and u.stage is null and (select ok from fits)
),
signal_waits_in as (
  insert into signal_wait (run, wait, partition, created, workflow, name, signals)
  select *
  from unnest($23::signal_wait_state[]) u
  where u.signals is not null and (select ok from fits)
  on conflict (run, wait) do update set name = excluded.name, signals = excluded.signals
),
signal_waits_out as (
  delete from signal_wait w
  using unnest($23::signal_wait_state[]) u
  where w.run = u.run and w.wait = u.wait and u.signals is null and (select ok from fits)
),
backlog_in as (
  insert into backlog (partition, from_offset, commands, body)
  select * from unnest($24::backlog_row[])
  where (select ok from fits)
),
backlog_out as (
  delete from backlog b
  using unnest($25::outbox_mark[]) u
  where b.partition = u.partition and b.from_offset = u.from_offset and (select ok from fits)
),
-- usual
outbox_out as (
  delete from outbox o
  using unnest($5::outbox_mark[]) u
  where o.partition = u.partition and o.from_offset = u.from_offset and (select ok from fits)
)
select ok from fits
