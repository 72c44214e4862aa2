-- Signals and events that are sent at a moment, unless they are cancelled before.

-- step: messages for later
create table later (
  id text collate "C" primary key,
  partition int not null,
  due bigint not null,
  timer bigint not null,
  outcome text not null,
  body bytea
);
create index later_due on later (due, id) where outcome = '';
comment on table later is 'Messages for later, and for a day the ids of those that were sent or cancelled.';
comment on column later.due is 'When it is sent, by log time.';
comment on column later.timer is 'When it is sent, and then when the row is deleted.';
comment on column later.outcome is 'Empty: it is still to be sent; else sent or cancelled.';
create type later_change as (id text, partition int, due bigint, timer bigint, outcome text, body bytea);
