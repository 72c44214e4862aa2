-- In which format each partition is: which rules its records are folded by, and how its rows are written.

alter table partition
  add column format int not null default 1,
  add column owner_format int not null default 1;
comment on column partition.format is
  'Raised by a record of the log. A release that does not know it does not become the owner.';
comment on column partition.owner_format is 'The newest format that the owner knows.';

create type share_state as (
  partition int, token uuid, from_offset bigint, to_offset bigint, clock bigint, leader_epoch int,
  fingerprint bigint, generation int, evidence bytea, exceptions int, outbox bytea, format int
);
