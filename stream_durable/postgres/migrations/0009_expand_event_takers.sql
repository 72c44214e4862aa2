-- Since when an event is kept, and since when some run has had it: what nobody took is found among the kept events.

alter table channel_event
  add column published bigint,
  add column taken bigint;
comment on column channel_event.published is
  'When it came, by log time. Null: an older release took it in.';
comment on column channel_event.taken is
  'When it first woke a wait. Null: it has not, or an older release had it do so.';

create type event_kept as (
  channel text, id text, partition int, data bytea, expires bigint, wakes_to bigint, published bigint, taken bigint
);
