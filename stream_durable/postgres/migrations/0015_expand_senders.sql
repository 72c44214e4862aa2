-- Who sent a signal or an event, and when; and how long a signal is kept for a wait that has not begun.

alter table channel_event add column sent_by text;
comment on column channel_event.sent_by is 'Who published it. Null: nobody says so.';

alter table run_signal
  add column sent_by text,
  add column came bigint,
  add column expires bigint;
comment on column run_signal.sent_by is 'Who sent it. Null: nobody says so, or it was taken.';
comment on column run_signal.came is 'Log time of its arrival. Null: it was taken, or an older release kept it.';
comment on column run_signal.expires is
  'When it is kept no longer. Null: with the end of the run. With a name and without data, it has expired.';

create type event_sent as (
  channel text, id text, partition int, data bytea, expires bigint, wakes_to bigint, published bigint, taken bigint,
  run text, wait text, attempt int, is_used boolean, number bigint, sent_by text
);
create type signal_sent as (
  run_id text, position bigint, partition int, id text, name text, data bytea, sent_by text, came bigint,
  expires bigint
);
