-- Evidence names who sent a message that changed nothing.

-- step: view
create or replace view evidence_record as
select
  e.partition,
  e.generation,
  o.value::bigint as log_offset,
  (select m.name from message_type m where m.position = (r.j -> 'types' ->> (o.n::int - 1))::int) as type,
  r.j -> 'keys' ->> (o.n::int - 1) as key,
  (array['applied', 'duplicate', 'late', 'dead'])[(r.j -> 'outcomes' ->> (o.n::int - 1))::int + 1] as outcome,
  to_timestamp((r.j -> 'times' ->> (o.n::int - 1))::bigint / 1000.0) as log_time,
  r.j -> 'senders' ->> (o.n::int - 1)::text as sent_by
from evidence e
cross join lateral (select convert_from(e.records, 'UTF8')::json as j) r
cross join lateral json_array_elements_text(r.j -> 'offsets') with ordinality as o (value, n);
comment on view evidence_record is 'What became of each record of the inbox, and who sent what changed nothing.';
