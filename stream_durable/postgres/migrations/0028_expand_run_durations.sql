-- Lists of runs are sorted by how long these took.

-- step, concurrently: index of durations
create index concurrently run_duration on run ((ended - coalesce(started, created))) where ended is not null;
