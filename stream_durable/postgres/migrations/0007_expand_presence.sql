-- Which partitions belong to owners that have died: a session that holds an advisory lock says that its process lives.

alter table partition
  add column presence int,
  add column presence_epoch bigint;

comment on column partition.presence is
  'The number under which the owner holds an advisory lock (hashtext of the schema, this) while it lives. Null: it holds none.';
comment on column partition.presence_epoch is
  'The epoch that presence is of. Another epoch than the present one: an older release, which holds no lock, owns the partition.';
