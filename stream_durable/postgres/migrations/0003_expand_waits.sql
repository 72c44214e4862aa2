-- Which attempt of its step a wait is of, in which order waits are woken, and how far an event has come with it.

-- step: columns of channel_wait
alter table channel_wait
  add column position bigint not null default 1,
  add column attempt int not null default 0;
comment on column channel_wait.position is 'Waits of a channel are woken in this order.';
comment on column channel_wait.attempt is
  'Attempt of the waiting step: what is said of an earlier one changes nothing. 0: an older release did not say.';
-- step: columns of channel_event
alter table channel_event add column wakes_to bigint;
comment on column channel_event.wakes_to is 'Position of the last wait that the event is still to wake.';

-- step: what batches are made of, and names of messages
create type event_state as (
  channel text, id text, partition int, data bytea, expires bigint, wakes_to bigint
);
create type wait_state as (channel text, run text, wait text, partition int, position bigint, attempt int);

create table message_type (
  position int primary key,
  name text not null
);
comment on table message_type is 'Types of messages, by the number that evidence keeps; written by each migration.';

create or replace view evidence_record as
select
  e.partition,
  e.generation,
  o.value::bigint as log_offset,
  (select m.name from message_type m where m.position = (r.j -> 'types' ->> (o.n::int - 1))::int) as type,
  r.j -> 'keys' ->> (o.n::int - 1) as key,
  (array['applied', 'duplicate', 'late', 'dead'])[(r.j -> 'outcomes' ->> (o.n::int - 1))::int + 1] as outcome,
  to_timestamp((r.j -> 'times' ->> (o.n::int - 1))::bigint / 1000.0) as log_time
from evidence e
cross join lateral (select convert_from(e.records, 'UTF8')::json as j) r
cross join lateral json_array_elements_text(r.j -> 'offsets') with ordinality as o (value, n);
