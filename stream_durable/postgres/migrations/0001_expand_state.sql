-- The state that the inbox has been folded into, and what is needed to go on folding.
-- Times are milliseconds of log time; payloads are the JSON bytes as they came.

create table partition (
  id int primary key,
  next_offset bigint not null default 0,
  log_clock bigint not null default 0,
  owner_token uuid,
  owner text,
  epoch bigint not null default 0,
  stalls int not null default 0,
  topic_id text,
  leader_epoch int not null default -1,
  fingerprint bigint not null default 0,
  generation int not null default 0,
  lost_reason text,
  suspect_offset bigint,
  suspect_token uuid,
  suspicions int not null default 0,
  must_redrive boolean not null default false
) with (fillfactor = 10);
comment on table partition is 'Who owns each partition of the inbox and up to where it has been folded.';
comment on column partition.owner_token is 'Drawn at each takeover; every write names it. The fence.';
comment on column partition.epoch is 'Number of takeovers, for people.';
comment on column partition.stalls is 'Takeovers since the partition last moved on.';
comment on column partition.must_redrive is
  'Set in a schema that was rebuilt: what was said of its state is not known, so its first owner asks again.';
comment on column partition.suspect_offset is
  'The record folded alone, after takeovers without progress; suspicions says how often.';
comment on column partition.fingerprint is 'Of the record before next_offset: tells another log at the same offsets.';
comment on column partition.generation is 'Rises when the partition goes on with another log.';

create table run (
  id text collate "C" primary key,
  partition int not null,
  workflow text collate "C" not null,
  fingerprint text collate "C" not null,
  status text collate "C" not null check (status in (
    'pending', 'running', 'waiting', 'paused', 'cancelling', 'compensating',
    'completed', 'failed', 'cancelled', 'compensated', 'compensation_failed')),
  created bigint not null,
  updated bigint not null,
  ended bigint,
  start_id text not null,
  input bytea not null,
  output bytea,
  failure bytea,
  step_sequence bigint not null,
  run_sequence bigint not null,
  done int not null,
  total int not null,
  due bigint,
  tags text,
  trace text,
  mail bytea
) with (fillfactor = 70);
alter table run alter column input set storage external, alter column output set storage external;
create index run_created on run (created, id);
create index run_unfinished on run (partition, id) where ended is null;
comment on column run.start_id is 'Id of the message that started it.';
comment on column run.due is 'When the run as a whole runs out of time.';
comment on column run.mail is 'Signals: ids that were seen, and those that nobody waited for yet.';

create table step (
  run_id text collate "C" not null,
  name text collate "C" not null,
  status text collate "C" not null check (status in (
    'ready', 'running', 'waiting', 'retrying', 'completed', 'failed', 'skipped', 'cancelled', 'compensated')),
  attempt int not null,
  output bytea,
  failure bytea,
  started bigint,
  finished bigint,
  worker text,
  due bigint,
  deadline bigint,
  losses int not null,
  primary key (run_id, name)
) with (fillfactor = 90);
alter table step alter column output set storage external;
comment on table step is
  'Steps that are more than what the graph says of them: one in its first attempt, asked for as soon as '
  'its dependencies had ended, has no row.';

create table channel_event (
  channel text collate "C" not null,
  id text collate "C" not null,
  partition int not null,
  data bytea not null,
  expires bigint not null,
  primary key (channel, id)
);
comment on table channel_event is 'Events that are kept for waits which have not begun yet.';

create table channel_wait (
  channel text collate "C" not null,
  run text collate "C" not null,
  wait text collate "C" not null,
  partition int not null,
  primary key (channel, run, wait)
);
comment on table channel_wait is 'Waits for an event that are open.';

create table timer (
  kind text collate "C" not null,
  key text collate "C" not null,
  name text collate "C" not null,
  partition int not null,
  due bigint not null,
  primary key (kind, key, name)
) with (fillfactor = 80);
create index timer_due on timer (partition, due, kind, key, name);
comment on table timer is 'Moments at which a message must be put on the inbox.';

create table evidence (
  partition int not null,
  generation int not null,
  from_offset bigint not null,
  to_offset bigint not null,
  clock bigint not null,
  exceptions int not null,
  records bytea not null,
  primary key (partition, generation, from_offset)
);
alter table evidence alter column records set storage external;
create index evidence_exceptions on evidence (partition, from_offset) where exceptions > 0;
comment on table evidence is
  'What became of every record of the inbox: one row for each share of a batch, columns inside. '
  'The view evidence_record shows it record by record.';

create table dead_letter (
  partition int not null,
  generation int not null,
  log_offset bigint not null,
  code text not null,
  reason text not null,
  key bytea,
  value bytea,
  log_time bigint not null,
  primary key (partition, generation, log_offset)
);
comment on table dead_letter is 'Records of the inbox that could not be applied, whole.';

create table outbox (
  partition int not null,
  from_offset bigint not null,
  body bytea not null,
  primary key (partition, from_offset)
);
alter table outbox alter column body set storage external;
comment on table outbox is 'Messages that were saved and whose publication is not yet known to have succeeded.';

-- What a batch is made of: the rows of its statement's parameters. Types of their own, and not the
-- tables' row types, so that a table may gain a column while an older release still writes to it.

create type share as (
  partition int, token uuid, from_offset bigint, to_offset bigint, clock bigint, leader_epoch int,
  fingerprint bigint, generation int, evidence bytea, exceptions int, outbox bytea
);
create type run_row as (
  id text, partition int, workflow text, fingerprint text, status text, created bigint, updated bigint,
  ended bigint, start_id text, input bytea, output bytea, failure bytea, step_sequence bigint,
  run_sequence bigint, done int, total int, due bigint, tags text, trace text, mail bytea
);
create type run_change as (
  id text, status text, updated bigint, ended bigint, output bytea, failure bytea, step_sequence bigint,
  run_sequence bigint, done int, due bigint, mail bytea
);
create type step_row as (
  run_id text, name text, status text, attempt int, output bytea, failure bytea, started bigint,
  finished bigint, worker text, due bigint, deadline bigint, losses int
);
create type dead_row as (
  partition int, generation int, log_offset bigint, code text, reason text, key bytea, value bytea,
  log_time bigint
);
create type event_change as (channel text, id text, partition int, data bytea, expires bigint);
create type wait_change as (channel text, run text, wait text, partition int, is_open bool);
create type timer_change as (kind text, key text, name text, partition int, due bigint);
create type outbox_mark as (partition int, from_offset bigint);

create view evidence_record as
select
  e.partition,
  e.generation,
  o.value::bigint as log_offset,
  (array[
    'run.start', 'run.cancel', 'run.signal', 'attempt.started', 'attempt.heartbeat', 'attempt.completed',
    'attempt.failed', 'event.delivered', 'run.timer', 'channel.event', 'channel.wait', 'channel.unwait',
    'channel.timer', 'attempt.returned'])[(r.j -> 'types' ->> (o.n::int - 1))::int + 1] as type,
  r.j -> 'keys' ->> (o.n::int - 1) as key,
  (array['applied', 'duplicate', 'late', 'dead'])[(r.j -> 'outcomes' ->> (o.n::int - 1))::int + 1] as outcome,
  to_timestamp((r.j -> 'times' ->> (o.n::int - 1))::bigint / 1000.0) as log_time
from evidence e
cross join lateral (select convert_from(e.records, 'UTF8')::json as j) r
cross join lateral json_array_elements_text(r.j -> 'offsets') with ordinality as o (value, n);
comment on view evidence_record is 'What became of each record of the inbox.';
