-- Held steps have a status of their own, and open runs that have missed their due time, or have steps that did, an index.

-- step: held as a status of steps
alter table step
  drop constraint step_status_check,
  add constraint step_status_check check (status in (
    'pending', 'ready', 'running', 'waiting', 'retrying', 'held', 'completed', 'failed', 'skipped', 'cancelled',
    'compensated')) not valid;
-- step, concurrently: statuses of the steps there are
alter table step validate constraint step_status_check;

-- step, concurrently: index of overdue runs
create index concurrently run_overdue on run (created)
  where requests is not null and position('"overdue":'::bytea in requests) > 0;
