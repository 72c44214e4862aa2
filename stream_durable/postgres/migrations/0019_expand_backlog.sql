-- What runs begin with, held back while the reconciler is behind.

create table backlog (
  partition int not null,
  from_offset bigint not null,
  commands int not null,
  body bytea not null,
  primary key (partition, from_offset)
);
alter table backlog alter column body set storage external;
comment on table backlog is
  'Commands of runs about to begin that are published in portions, since more came at once than were folded.';

create type backlog_row as (partition int, from_offset bigint, commands int, body bytea);
