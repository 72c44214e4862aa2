-- Runs with held steps, about which a person has to decide. Few runs have any, and none of the others touches this.

-- step, concurrently: index of runs with held steps
create index concurrently run_held on run (created)
  where requests is not null and position('"held":'::bytea in requests) > 0;
