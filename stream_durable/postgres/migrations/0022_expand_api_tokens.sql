-- Tokens of the HTTP API, written by operators' commands and read by its processes. No part of the log.

-- step: tokens
create table api_token (
  name text collate "C" primary key,
  digest bytea not null unique,
  role text not null,
  may_see_payloads boolean not null,
  created bigint not null,
  expires bigint,
  revoked bigint
);
comment on table api_token is 'Tokens of the HTTP API: hashes of their secrets, and what their holders may do.';
