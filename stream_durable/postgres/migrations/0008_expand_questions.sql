-- Questions that steps ask people, while they are open: what a list of them is made of.

-- step: questions
create table question (
  run text collate "C" not null,
  step text collate "C" not null,
  partition int not null,
  opened bigint not null,
  workflow text collate "C" not null,
  fingerprint text collate "C" not null,
  attempt int not null,
  prompt text not null,
  role text collate "C" not null,
  assignee text collate "C" not null,
  due bigint,
  expires bigint,
  primary key (run, step)
);
comment on table question is
  'Open questions, one row each; all that is known of one, and of those that were answered, is in step.detail.';
comment on column question.role is 'Empty: anybody may answer.';
comment on column question.assignee is 'Empty: nobody has it yet.';
comment on column question.due is 'When the answer is expected.';
comment on column question.expires is 'When the step waits no longer.';
create index question_opened on question (opened, run, step);
create index question_workflow on question (workflow, opened, run, step);
create index question_role on question (role, opened, run, step);
create index question_assignee on question (assignee, opened, run, step);
create index question_expires on question (expires) where expires is not null;
create type question_state as (
  run text, step text, partition int, opened bigint, workflow text, fingerprint text, attempt int, prompt text,
  role text, assignee text, due bigint, expires bigint
);
