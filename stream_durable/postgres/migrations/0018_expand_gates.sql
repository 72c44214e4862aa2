-- Gates with places, rates and keys that take turns.

-- step: places
alter table gate_place
  add column passes int,
  add column priority int,
  add column share text collate "C",
  add column units bigint,
  add column since bigint,
  add column lease bigint;
comment on table gate_place is
  'Who waits at a gate, or holds a place there; who waits at a breaker, or tries whether the dependency is back.';
comment on column gate_place.passes is
  'How many passes of the attempt came before. It and what follows is null of breakers.';
comment on column gate_place.share is 'The key whose turn it is; empty: the keys of the gate take no turns.';
comment on column gate_place.units is 'What the call costs of the rate; null: 1.';
comment on column gate_place.since is 'When it came; once inside, when it passed.';
comment on column gate_place.lease is 'When the holder is asked whether it still needs the place.';
comment on column gate.name is
  'Of a breaker its name; of a gate its name and two slashes, with the key behind them where each has its own limits.';
create type gate_passage as (
  gate text, run text, step text, partition int, attempt int, ordinal bigint, is_inside boolean, passes int,
  priority int, share text, units bigint, since bigint, lease bigint
);

-- step: turns
create table gate_turn (
  gate text collate "C" not null,
  share text collate "C" not null,
  partition int not null,
  turn bigint not null,
  primary key (gate, share)
);
comment on table gate_turn is
  'The next turns of keys at gates where they take turns by weight; a key without one begins where the others are.';
create type turn_change as (gate text, share text, partition int, turn bigint);
