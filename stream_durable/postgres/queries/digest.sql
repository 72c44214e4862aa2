-- name: digest_limits
-- A look takes as long as it takes, and may stand open while the log catches up with it.
select
  set_config('statement_timeout', '0', false),
  set_config('idle_in_transaction_session_timeout', '0', false)

-- name: digest_partition
-- Where every partition stands.
select id, owner, next_offset, log_clock, fingerprint, generation, topic_id, format
from partition
order by id

-- name: digest_empty
-- Whether nothing has ever been folded into this schema.
select
  not exists (select from partition where next_offset > 0)
  and not exists (select from run)
  and not exists (select from channel_event)
  and not exists (select from channel_wait)
  and not exists (select from channel_expired)
  and not exists (select from gate)
  and not exists (select from later)
  and not exists (select from schedule)
  and not exists (select from timer)
  and not exists (select from evidence)

-- name: evidence_uneven
-- Stretches of the newest batches of each partition in which offsets are missing: within a batch, between
-- two, or behind the last. What is before the oldest batch may have been removed by age.
select partition, from_offset, after, records
from (
  select e.partition, e.from_offset, e.to_offset, e.records,
    lead(e.from_offset, 1, p.next_offset) over (partition by e.partition order by e.from_offset) as after
  from partition p
  cross join lateral (
    select * from evidence
    where evidence.partition = p.id and evidence.generation = p.generation
    order by from_offset desc
    limit $1
  ) as e
) as batch
where to_offset < after
  or json_array_length(convert_from(records, 'utf8')::json -> 'offsets') < to_offset - from_offset
order by partition, from_offset
limit $2

-- The hash of a row is the md5 of the whole row as text, so that a column which a later migration adds
-- is compared without a change here. The text of a row is unambiguous: nulls, quotes, commas and all.
-- The halves are summed as numbers: no order is needed, and sums are exact, since those of bigint are numeric.

-- name: digest_run
-- Digest of the runs of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select r.partition, md5(r::text) as hash from run r) as hashed
group by partition

-- name: digest_step
-- Digest of the steps of each partition, which is that of their run; -1 for those of no run.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (
  select coalesce(r.partition, -1) as partition, md5(s::text) as hash
  from step s
  left join run r on r.id = s.run_id
) as hashed
group by partition

-- name: digest_attempt
-- Digest of what is kept of attempts, of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select a.partition, md5(a::text) as hash from attempt a) as hashed
group by partition

-- name: digest_run_signal
-- Digest of the signals of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select s.partition, md5(s::text) as hash from run_signal s) as hashed
group by partition

-- name: digest_question
-- Digest of the open questions of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select q.partition, md5(q::text) as hash from question q) as hashed
group by partition

-- name: digest_signal_wait
-- Digest of the open signal waits inside steps of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select w.partition, md5(w::text) as hash from signal_wait w) as hashed
group by partition

-- name: digest_run_attribute
-- Digest of the attributes of runs of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select a.partition, md5(a::text) as hash from run_attribute a) as hashed
group by partition

-- name: digest_channel_event
-- Digest of the kept events of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select e.partition, md5(e::text) as hash from channel_event e) as hashed
group by partition

-- name: digest_channel_wait
-- Digest of the open waits of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select w.partition, md5(w::text) as hash from channel_wait w) as hashed
group by partition

-- name: digest_channel_expired
-- Digest of the events that nobody had of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select e.partition, md5(e::text) as hash from channel_expired e) as hashed
group by partition

-- name: digest_gate
-- Digest of the gates of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select g.partition, md5(g::text) as hash from gate g) as hashed
group by partition

-- name: digest_gate_place
-- Digest of the places at gates of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select p.partition, md5(p::text) as hash from gate_place p) as hashed
group by partition

-- name: digest_gate_turn
-- Digest of the keys that take turns at gates of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select t.partition, md5(t::text) as hash from gate_turn t) as hashed
group by partition

-- name: digest_admission
-- Digest of the admissions of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select a.partition, md5(a::text) as hash from admission a) as hashed
group by partition

-- name: digest_admission_member
-- Digest of the runs at admissions of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select m.partition, md5(m::text) as hash from admission_member m) as hashed
group by partition

-- name: digest_later
-- Digest of the messages for later of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select l.partition, md5(l::text) as hash from later l) as hashed
group by partition

-- name: digest_schedule
-- Digest of the schedules of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select s.partition, md5(s::text) as hash from schedule s) as hashed
group by partition

-- name: digest_schedule_firing
-- Digest of the firings of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select f.partition, md5(f::text) as hash from schedule_firing f) as hashed
group by partition

-- name: digest_timer
-- Digest of the timers of each partition.
select partition, count(*) as rows,
  sum(('x' || left(hash, 16))::bit(64)::bigint) as high,
  sum(('x' || right(hash, 16))::bit(64)::bigint) as low
from (select t.partition, md5(t::text) as hash from timer t) as hashed
group by partition

-- name: mark_run
-- Key and hash of the runs of the partitions $1, by key.
select r.id, md5(r::text)
from run r
where r.partition = any($1::int[])
order by r.id

-- name: mark_step
-- Key and hash of the steps of the partitions $1, by key.
select s.run_id, s.name, md5(s::text)
from step s
left join run r on r.id = s.run_id
where coalesce(r.partition, -1) = any($1::int[])
order by s.run_id, s.name

-- name: mark_attempt
-- Key and hash of what is kept of attempts of the partitions $1, by key.
select a.run_id, a.step, a.attempt::text, md5(a::text)
from attempt a
where a.partition = any($1::int[])
order by a.run_id, a.step, a.attempt::text collate "C"

-- name: mark_run_signal
-- Key and hash of the signals of the partitions $1, by key.
select s.run_id, s.position::text, md5(s::text)
from run_signal s
where s.partition = any($1::int[])
order by s.run_id, s.position::text collate "C"

-- name: mark_question
-- Key and hash of the open questions of the partitions $1, by key.
select q.run, q.step, md5(q::text)
from question q
where q.partition = any($1::int[])
order by q.run, q.step

-- name: mark_signal_wait
-- Key and hash of the open signal waits inside steps of the partitions $1, by key.
select w.run, w.wait, md5(w::text)
from signal_wait w
where w.partition = any($1::int[])
order by w.run, w.wait

-- name: mark_run_attribute
-- Key and hash of the attributes of runs of the partitions $1, by key.
select a.run_id, a.name, md5(a::text)
from run_attribute a
where a.partition = any($1::int[])
order by a.run_id, a.name

-- name: mark_channel_event
-- Key and hash of the kept events of the partitions $1, by key.
select e.channel, e.id, md5(e::text)
from channel_event e
where e.partition = any($1::int[])
order by e.channel, e.id

-- name: mark_channel_wait
-- Key and hash of the open waits of the partitions $1, by key.
select w.channel, w.run, w.wait, md5(w::text)
from channel_wait w
where w.partition = any($1::int[])
order by w.channel, w.run, w.wait

-- name: mark_channel_expired
-- Key and hash of the events that nobody had of the partitions $1, by key.
select e.channel, e.id, md5(e::text)
from channel_expired e
where e.partition = any($1::int[])
order by e.channel, e.id

-- name: mark_gate
-- Key and hash of the gates of the partitions $1, by key.
select g.name, md5(g::text)
from gate g
where g.partition = any($1::int[])
order by g.name

-- name: mark_gate_place
-- Key and hash of the places at gates of the partitions $1, by key.
select p.gate, p.run, p.step, md5(p::text)
from gate_place p
where p.partition = any($1::int[])
order by p.gate, p.run, p.step

-- name: mark_gate_turn
-- Key and hash of the keys that take turns at gates of the partitions $1, by key.
select t.gate, t.share, md5(t::text)
from gate_turn t
where t.partition = any($1::int[])
order by t.gate, t.share

-- name: mark_admission
-- Key and hash of the admissions of the partitions $1, by key.
select a.id, md5(a::text)
from admission a
where a.partition = any($1::int[])
order by a.id

-- name: mark_admission_member
-- Key and hash of the runs at admissions of the partitions $1, by key.
select m.admission, m.run, md5(m::text)
from admission_member m
where m.partition = any($1::int[])
order by m.admission, m.run

-- name: mark_later
-- Key and hash of the messages for later of the partitions $1, by key.
select l.id, md5(l::text)
from later l
where l.partition = any($1::int[])
order by l.id

-- name: mark_schedule
-- Key and hash of the schedules of the partitions $1, by key.
select s.id, md5(s::text)
from schedule s
where s.partition = any($1::int[])
order by s.id

-- name: mark_schedule_firing
-- Key and hash of the firings of the partitions $1, by key.
select f.schedule, f.run, md5(f::text)
from schedule_firing f
where f.partition = any($1::int[])
order by f.schedule, f.run

-- name: mark_timer
-- Key and hash of the timers of the partitions $1, by key.
select t.kind, t.key, t.name, md5(t::text)
from timer t
where t.partition = any($1::int[])
order by t.kind, t.key, t.name

-- Every column, for the same reason as above: what was hashed is what is shown.

-- name: row_run
-- The run $1, column by column.
select * from run where id = $1

-- name: row_step
-- The step $2 of run $1, column by column.
select * from step where run_id = $1 and name = $2

-- name: row_attempt
-- Attempt $3 of step $2 of run $1, column by column.
select * from attempt where run_id = $1 and step = $2 and attempt = $3::text::int

-- name: row_run_signal
-- The signal at position $2 of run $1, column by column.
select * from run_signal where run_id = $1 and position = $2::text::bigint

-- name: row_question
-- The question of step $2 of run $1, column by column.
select * from question where run = $1 and step = $2

-- name: row_signal_wait
-- The signal wait $2 of run $1, column by column.
select * from signal_wait where run = $1 and wait = $2

-- name: row_run_attribute
-- The attribute $2 of run $1, column by column.
select * from run_attribute where run_id = $1 and name = $2

-- name: row_channel_event
-- The event $2 of channel $1, column by column.
select * from channel_event where channel = $1 and id = $2

-- name: row_channel_wait
-- The wait $3 of run $2 on channel $1, column by column.
select * from channel_wait where channel = $1 and run = $2 and wait = $3

-- name: row_channel_expired
-- The expired event $2 of channel $1, column by column.
select * from channel_expired where channel = $1 and id = $2

-- name: row_gate
-- The gate $1, column by column.
select * from gate where name = $1

-- name: row_gate_place
-- The place of step $3 of run $2 at gate $1, column by column.
select * from gate_place where gate = $1 and run = $2 and step = $3

-- name: row_gate_turn
-- The turn of key $2 at gate $1, column by column.
select * from gate_turn where gate = $1 and share = $2

-- name: row_admission
-- The admission $1, column by column.
select * from admission where id = $1

-- name: row_admission_member
-- Run $2 at the admission $1, column by column.
select * from admission_member where admission = $1 and run = $2

-- name: row_later
-- The message for later $1, column by column.
select * from later where id = $1

-- name: row_schedule
-- The schedule $1, column by column.
select * from schedule where id = $1

-- name: row_schedule_firing
-- The firing of run $2 of schedule $1, column by column.
select * from schedule_firing where schedule = $1 and run = $2

-- name: row_timer
-- The timer $3 of the $1 $2, column by column.
select * from timer where kind = $1 and key = $2 and name = $3
