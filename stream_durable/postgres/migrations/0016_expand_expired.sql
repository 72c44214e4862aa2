-- Events that expired before anybody had them: evidence, for people alone.

-- step: events that nobody had
create table channel_expired (
  channel text collate "C" not null,
  id text collate "C" not null,
  partition int not null,
  expired bigint not null,
  published bigint,
  sent_by text,
  primary key (channel, id)
);
comment on table channel_expired is
  'Events that expired before a wait or a reaction had them, the latest of each id, without data.';
create type event_expired as (
  channel text, id text, partition int, expired bigint, published bigint, sent_by text
);
