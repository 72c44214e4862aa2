-- Reactions to events: the order of the events of a channel, and how far each reaction has come.

alter table channel_event add column number bigint;
comment on column channel_event.number is
  'Strictly increasing in the channel. Null: an older release took it in.';
comment on column channel_event.expires is
  '0: over, but it is offered to a wait that may give it back, or there are reactions that have not had it.';

alter table channel_wait
  add column cursor bigint,
  add column given bigint;
comment on column channel_wait.cursor is
  'Of a reaction: the number of the last event that it has worked off. Null: it is a wait.';
comment on column channel_wait.given is 'Of a reaction: the number of the event under way; 0: none.';

create type event_numbered as (
  channel text, id text, partition int, data bytea, expires bigint, wakes_to bigint, published bigint, taken bigint,
  run text, wait text, attempt int, is_used boolean, number bigint
);
create type wait_or_read as (
  channel text, run text, wait text, partition int, position bigint, attempt int, takes boolean, cursor bigint,
  given bigint
);
