-- name: waits_unwanted
-- Waits on channels that no step of a run is in, at most $1: their run is unknown or has ended, or the step waits
-- no more, or its wait is a later one. An older release did not say which attempt a wait is of.
select w.channel, w.run, w.wait
from channel_wait w
left join run r on r.id = w.run
left join step s on s.run_id = w.run and s.name = w.wait
where r.id is null
  or r.ended is not null
  or (w.cursor is null and s.status is distinct from 'waiting')
  or (w.cursor is null and w.attempt > 0 and s.attempt <> w.attempt)
order by w.channel, w.run, w.wait
limit $1

-- name: waits_unanswered
-- Of the waits given as $1 channels, $2 runs and $3 names: those that their channel does not have, and whether it
-- keeps an event that would have ended them.
select asked.channel, asked.run, asked.wait,
  exists (
    select
    from channel_event e
    join partition p on p.id = e.partition
    where e.channel = asked.channel and e.expires > p.log_clock
  ) as is_missed
from unnest($1::text[], $2::text[], $3::text[]) as asked (channel, run, wait)
where not exists (
  select
  from channel_wait w
  where w.channel = asked.channel and w.run = asked.run and w.wait = asked.wait
)
