-- name: migration_lock
-- One migration at a time, whoever starts it; held until the connection ends.
select pg_advisory_lock(7235101)

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
