-- Signals of a run in rows of their own: what a message writes does not grow with what its run keeps.

-- step: signals
create table run_signal (
  run_id text collate "C" not null,
  position bigint not null,
  partition int not null,
  id text collate "C" not null,
  name text collate "C",
  data bytea,
  primary key (run_id, position)
);
alter table run_signal alter column data set storage external;
comment on table run_signal is
  'Signals that a run has seen, in the order in which they came; with name and data until a wait takes them.';
create type signal_change as (
  run_id text, position bigint, partition int, id text, name text, data bytea
);
-- step: what column mail of run is
comment on column run.mail is
  'Empty: the run has signals, in run_signal. More than that: they are in it, as an older release has written.';
