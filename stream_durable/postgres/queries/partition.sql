-- name: partition_create
-- Makes the rows of partitions 0 to $1 - 1, once.
insert into partition (id)
select generate_series(0, $1::int - 1)
on conflict do nothing

-- name: partition_count
-- How many partitions this schema was made for.
select count(*) from partition

-- name: partition_claim
-- Makes $2, under token $3 and present as $5, the owner of partition $1, unless its format is beyond $4, or its epoch
-- is not $6 where that is given.
update partition
set owner = $2, owner_token = $3, owner_format = $4, presence = $5, presence_epoch = epoch + 1, epoch = epoch + 1,
  stalls = stalls + 1
where id = $1 and format <= $4 and ($6::bigint is null or epoch = $6)
returning epoch, next_offset, log_clock, topic_id, leader_epoch, fingerprint, generation, stalls,
  must_redrive or must_redrive_commands as must_redrive, format

-- name: presence_hold
-- Says, for as long as this session lasts, that the process with number $1 lives. False: another session says so.
select pg_try_advisory_lock(hashtext(current_schema()), $1)

-- name: presence_look
-- Numbers of the processes that live, each time with a partition whose owner is not among them, though it was when it took it
-- over; nothing while the server has not been up for so long that all have had the time to connect.
with living as materialized (
  select array(
    select objid::bigint::int
    from pg_locks
    where locktype = 'advisory' and objsubid = 2 and granted
      and database = (select oid from pg_database where datname = current_database())
      and classid::bigint = hashtext(current_schema())::bigint & 4294967295
  ) as numbers
  where now() - pg_postmaster_start_time() > interval '10 s'
)
select living.numbers, partition.id, partition.epoch
from living
left join partition
  on partition.presence_epoch = partition.epoch and partition.presence <> all(living.numbers)

-- name: partition_format
-- The format of partition $1.
select format
from partition
where id = $1

-- name: role_is_superuser
-- Whether this connection's role may do everything.
select rolsuper
from pg_roles
where rolname = current_user

-- name: partition_formats
-- The format of each partition, who owns it, and the newest format that this one knows.
select id, format, owner, owner_format, next_offset, log_clock
from partition
order by id

-- name: server_time
-- The time by the server's clock, in milliseconds.
select (extract(epoch from clock_timestamp()) * 1000)::bigint

-- name: partition_identify
-- Notes which topic partition $1, owned under token $2, is.
update partition
set topic_id = $3
where id = $1 and owner_token = $2

-- name: partition_lose
-- Records why partition $1, owned under token $2, stands still.
update partition
set lost_reason = $3
where id = $1 and owner_token = $2

-- name: partition_must_redrive
-- Notes whether ($3) the outstanding work of partition $1, owned under token $2, has to be asked for again.
update partition
set must_redrive = $3
where id = $1 and owner_token = $2

-- name: partition_must_redrive_commands
-- Records whether ($3) lost commands of partition $1, owned under token $2, are being requested again; token $4, if
-- given, takes the place of $2.
update partition
set must_redrive_commands = $3, owner_token = coalesce($4, owner_token)
where id = $1 and owner_token = $2

-- name: partition_suspect
-- Notes that the record at offset $3 of partition $1, owned under token $2, is about to be folded alone. Counts owners, not calls.
update partition
set suspicions = case
    when suspect_offset is distinct from $3 then 1
    when suspect_token is distinct from $2 then suspicions + 1
    else suspicions
  end,
  suspect_offset = $3, suspect_token = $2
where id = $1 and owner_token = $2
returning suspicions

-- name: partition_absolve
-- Notes that no record of partition $1, owned under token $2, is suspected any more.
update partition
set suspicions = 0, suspect_offset = null, suspect_token = null
where id = $1 and owner_token = $2

-- name: partition_new_generation
-- Lets partition $1, owned under token $2, go on with topic $3 at offset $4, because of $5. What was lost of it may
-- have been asked for by others, so all have to ask again.
with moved as (
  update partition
  set topic_id = $3, next_offset = $4, lost_reason = $5, generation = generation + 1, leader_epoch = -1, fingerprint = 0,
    must_redrive = true
  where id = $1 and owner_token = $2
  returning generation
),
others as (
  update partition set must_redrive = true where id <> $1 and exists (select from moved)
)
select generation from moved

-- name: partition_cursors
-- Who owns the partitions $1 and where they stand.
select id, owner_token, next_offset, must_redrive
from partition
where id = any($1::int[])

-- name: partition_get
-- Where partition $1 stands, in the order of PartitionSummary.
select id, owner, epoch, next_offset, stalls, lost_reason,
  (select coalesce(sum(commands), 0)::bigint from backlog where partition = id)
from partition
where id = $1

-- name: partition_list
-- Where all partitions stand, in the order of PartitionSummary.
select id, owner, epoch, next_offset, stalls, lost_reason,
  (select coalesce(sum(commands), 0)::bigint from backlog where partition = id)
from partition
order by id
