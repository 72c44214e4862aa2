-- Attempts that are asked for again are noted apart from everything that is: the end of the one must not hide the other.

alter table partition add column must_redrive_commands boolean not null default false;

comment on column partition.must_redrive_commands is
  'Whether commands that were lost are being requested again; if its owner ends before, the next one requests all outstanding work.';
