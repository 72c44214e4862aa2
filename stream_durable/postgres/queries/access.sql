-- Tokens of the HTTP API.

-- name: api_token_find
-- The token with the hash $1.
select name, role, may_see_payloads, created, expires, revoked from api_token where digest = $1

-- name: api_token_list
-- All tokens, by name.
select name, role, may_see_payloads, created, expires, revoked from api_token order by name

-- name: api_token_add
-- Keeps a token, unless its name is taken by one that is not revoked.
insert into api_token (digest, name, role, may_see_payloads, created, expires, revoked)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (name) do update
set digest = excluded.digest, role = excluded.role, may_see_payloads = excluded.may_see_payloads,
    created = excluded.created, expires = excluded.expires, revoked = excluded.revoked
where api_token.revoked is not null
returning name

-- name: api_token_revoke
-- Revokes the token $1 at $2.
update api_token set revoked = $2 where name = $1 and revoked is null returning name
