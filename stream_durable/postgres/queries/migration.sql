-- name: migration_lock
-- One migration of schema $1 at a time, whoever starts it: whether it is this one. Held until the connection ends.
select pg_try_advisory_lock(hashtextextended($1, 7235101))

-- name: migration_lock_limit
-- How many milliseconds ($1) the transaction waits for a lock.
select set_config('lock_timeout', $1, true)

-- name: migration_index_state
-- Whether index $1 can be used; null if there is none.
select i.indisvalid
from pg_index i
where i.indexrelid = to_regclass($1)

-- name: migration_index_drop
-- The statement that removes index $1, its name quoted by the server.
select format('drop index concurrently %I', $1::text)

-- name: migration_schema
-- The statement that makes schema $1, its name quoted by the server.
select format('create schema if not exists %I', $1::text)

-- name: migration_drop
-- The statement that removes schema $1, its name quoted by the server.
select format('drop schema if exists %I cascade', $1::text)

-- name: migration_table
-- Where it is written which files have been applied.
create table if not exists schema_migration (
  version int primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now()
)

-- name: migration_table_exists
-- Null in a schema that was never migrated.
select to_regclass('schema_migration')::text

-- name: migration_applied
-- Which files have been applied.
select version, checksum from schema_migration

-- name: migration_message_types
-- Names the types of messages: their positions $1, their names $2.
insert into message_type (position, name)
select * from unnest($1::int[], $2::text[])
on conflict (position) do update set name = excluded.name

-- name: migration_record
-- Notes that a file has been applied.
insert into schema_migration (version, name, checksum) values ($1, $2, $3)

-- name: migration_step_table
-- Where it is written which steps of files have been applied.
create table if not exists schema_migration_step (
  version int not null,
  name text not null,
  applied_at timestamptz not null default now(),
  primary key (version, name)
)

-- name: migration_step_table_exists
-- Null in a schema that was migrated by an older release, or never.
select to_regclass('schema_migration_step')::text

-- name: migration_steps_done
-- Which steps of file $1 have been applied.
select name from schema_migration_step where version = $1

-- name: migration_step_record
-- Notes that step $2 of file $1 has been applied.
insert into schema_migration_step (version, name) values ($1, $2)

-- name: migration_is_begun
-- Whether anything has been applied.
select exists (select from schema_migration)
