-- Waits that take the event that ends them, and who has an event: no other such wait gets it.

alter table channel_event
  add column run text collate "C",
  add column wait text collate "C",
  add column attempt int,
  add column is_used boolean not null default false;
comment on column channel_event.run is
  'The run whose wait takes the event. Null: whoever comes first may take it.';
comment on column channel_event.is_used is 'Whether that wait has ended with it; before, it may give it back.';
comment on column channel_event.expires is '0: over, but it is offered to a wait that may give it back.';

alter table channel_wait add column takes boolean not null default false;
comment on column channel_wait.takes is 'Whether it takes the event that ends it.';

create type event_held as (
  channel text, id text, partition int, data bytea, expires bigint, wakes_to bigint, published bigint, taken bigint,
  run text, wait text, attempt int, is_used boolean
);
create type wait_held as (
  channel text, run text, wait text, partition int, position bigint, attempt int, takes boolean
);
