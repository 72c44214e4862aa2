-- name: batch_commit
-- Saves a batch of all partitions of one owner, or nothing: one row out, true when saved.
-- $1..$8 shares: partition, token, from, to, clock, leader epoch, fingerprint, generation
-- $9..$11 evidence: records, exceptions; outbox body     $12..$31 runs     $32..$42 run changes
-- $43..$54 steps     $55..$59 events     $60..$64 waits     $65..$69 timers     $70..$76 dead letters
-- $77..$78 outbox rows that were published
with held as (
  select p.id
  from partition p
  join unnest($1::int[], $2::uuid[], $3::bigint[]) as u (id, token, from_offset)
    on p.id = u.id and p.owner_token = u.token and p.next_offset = u.from_offset
  for update of p
),
fits as materialized (
  select count(*) = cardinality($1::int[]) as ok from held
),
moved as (
  update partition p
  set next_offset = u.to_offset, log_clock = u.clock, leader_epoch = u.leader_epoch,
    fingerprint = u.fingerprint, stalls = 0
  from unnest($1::int[], $4::bigint[], $5::bigint[], $6::int[], $7::bigint[])
    as u (id, to_offset, clock, leader_epoch, fingerprint)
  where p.id = u.id and (select ok from fits)
),
evidence_in as (
  insert into evidence (partition, generation, from_offset, to_offset, clock, exceptions, records)
  select u.partition, u.generation, u.from_offset, u.to_offset, u.clock, u.exceptions, u.records
  from unnest($1::int[], $8::int[], $3::bigint[], $4::bigint[], $5::bigint[], $10::int[], $9::bytea[])
    as u (partition, generation, from_offset, to_offset, clock, exceptions, records)
  where u.to_offset > u.from_offset and (select ok from fits)
),
outbox_in as (
  insert into outbox (partition, from_offset, body)
  select u.partition, u.from_offset, u.body
  from unnest($1::int[], $3::bigint[], $11::bytea[]) as u (partition, from_offset, body)
  where u.body is not null and (select ok from fits)
),
runs_in as (
  insert into run (id, partition, workflow, fingerprint, status, created, updated, ended, start_id, input,
    output, failure, step_sequence, run_sequence, done, total, due, tags, trace, mail)
  select * from unnest($12::text[], $13::int[], $14::text[], $15::text[], $16::text[], $17::bigint[],
    $18::bigint[], $19::bigint[], $20::text[], $21::bytea[], $22::bytea[], $23::bytea[], $24::bigint[],
    $25::bigint[], $26::int[], $27::int[], $28::bigint[], $29::text[], $30::text[], $31::bytea[])
  where (select ok from fits)
),
runs_changed as (
  update run r
  set status = u.status, updated = u.updated, ended = u.ended, output = u.output, failure = u.failure,
    step_sequence = u.step_sequence, run_sequence = u.run_sequence, done = u.done, due = u.due, mail = u.mail
  from unnest($32::text[], $33::text[], $34::bigint[], $35::bigint[], $36::bytea[], $37::bytea[],
    $38::bigint[], $39::bigint[], $40::int[], $41::bigint[], $42::bytea[])
    as u (id, status, updated, ended, output, failure, step_sequence, run_sequence, done, due, mail)
  where r.id = u.id and (select ok from fits)
),
steps_in as (
  insert into step (run_id, name, status, attempt, output, failure, started, finished, worker, due,
    deadline, losses)
  select * from unnest($43::text[], $44::text[], $45::text[], $46::int[], $47::bytea[], $48::bytea[],
    $49::bigint[], $50::bigint[], $51::text[], $52::bigint[], $53::bigint[], $54::int[])
  where (select ok from fits)
  on conflict (run_id, name) do update
  set status = excluded.status, attempt = excluded.attempt, output = excluded.output,
    failure = excluded.failure, started = excluded.started, finished = excluded.finished,
    worker = excluded.worker, due = excluded.due, deadline = excluded.deadline, losses = excluded.losses
),
events_in as (
  insert into channel_event (channel, id, partition, data, expires)
  select u.channel, u.id, u.partition, u.data, u.expires
  from unnest($55::text[], $56::text[], $57::int[], $58::bytea[], $59::bigint[])
    as u (channel, id, partition, data, expires)
  where u.data is not null and (select ok from fits)
  on conflict (channel, id) do update set data = excluded.data, expires = excluded.expires
),
events_out as (
  delete from channel_event e
  using unnest($55::text[], $56::text[], $58::bytea[]) as u (channel, id, data)
  where e.channel = u.channel and e.id = u.id and u.data is null and (select ok from fits)
),
waits_in as (
  insert into channel_wait (channel, run, wait, partition)
  select u.channel, u.run, u.wait, u.partition
  from unnest($60::text[], $61::text[], $62::text[], $63::int[], $64::bool[])
    as u (channel, run, wait, partition, is_open)
  where u.is_open and (select ok from fits)
  on conflict do nothing
),
waits_out as (
  delete from channel_wait w
  using unnest($60::text[], $61::text[], $62::text[], $64::bool[]) as u (channel, run, wait, is_open)
  where w.channel = u.channel and w.run = u.run and w.wait = u.wait and not u.is_open and (select ok from fits)
),
timers_in as (
  insert into timer (kind, key, name, partition, due)
  select u.kind, u.key, u.name, u.partition, u.due
  from unnest($65::text[], $66::text[], $67::text[], $68::int[], $69::bigint[])
    as u (kind, key, name, partition, due)
  where u.due is not null and (select ok from fits)
  on conflict (kind, key, name) do update set due = excluded.due
),
timers_out as (
  delete from timer t
  using unnest($65::text[], $66::text[], $67::text[], $69::bigint[]) as u (kind, key, name, due)
  where t.kind = u.kind and t.key = u.key and t.name = u.name and u.due is null and (select ok from fits)
),
dead_in as (
  insert into dead_letter (partition, log_offset, code, reason, key, value, log_time, generation)
  select u.partition, u.log_offset, u.code, u.reason, u.key, u.value, u.log_time, p.generation
  from unnest($70::int[], $71::bigint[], $72::text[], $73::text[], $74::bytea[], $75::bytea[], $76::bigint[])
    as u (partition, log_offset, code, reason, key, value, log_time)
  join unnest($1::int[], $8::int[]) as p (id, generation) on p.id = u.partition
  where (select ok from fits)
),
outbox_out as (
  delete from outbox o
  using unnest($77::int[], $78::bigint[]) as u (partition, from_offset)
  where o.partition = u.partition and o.from_offset = u.from_offset and (select ok from fits)
)
select ok from fits
