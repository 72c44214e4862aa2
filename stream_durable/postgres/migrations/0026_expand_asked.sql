-- Admissions: when a run has asked, so that a request repeated long after is told from a new one.

alter table admission_member
  add column asked bigint not null default 0;
comment on column admission_member.asked is 'Log time of asking, by the partition of the run. 0: unknown.';
create type member_asked as (
  admission text, run text, partition int, stage text, attempt int, ordinal bigint, since bigint, priority int,
  is_again boolean, taker text, lease bigint, input bytea, asked bigint
);
