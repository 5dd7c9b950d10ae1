-- Users, their tokens, attempts at passwords and pins, and the audit log.

create table user_account (
    username      text primary key,
    password_hash text not null,
    role          text not null check (role in ('ROLE_ADMIN', 'ROLE_USER')),
    must_change   boolean not null default false,    -- the password, before anything else
    created_at    timestamptz not null default now()
);
create trigger user_changed after insert or update or delete on user_account
    for each statement execute function bump('auth');

-- No trigger on insert: a new token is in no cache that could be stale.
create table token (
    hash       bytea primary key,                    -- SHA-256 of the token, which is not stored
    username   text not null references user_account on delete cascade,
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
);
create index token_username on token (username);
create trigger token_changed after update or delete on token
    for each statement execute function bump('auth');

-- Attempts, shared by all webapps. what: 'user' counts failures of a name at an address (name and
-- address with a line break between them), 'spread' those of a name from all addresses, 'key' those
-- of an address with the API key, 'pin' those of the pin, 'address' checks under way and failed
-- from an address; 'known' says from where a user has logged in.
create table attempt (
    what     text not null,
    name     text not null,
    failures integer not null,
    since    timestamptz not null default now(),     -- the first of this minute
    until    timestamptz,                            -- no check before; null: none is refused
    primary key (what, name),
    constraint attempt_what_check
        check (what in ('user', 'pin', 'address', 'known', 'spread', 'key'))
);
create index attempt_since on attempt (since);

-- Who did what that matters, from where, and how it ended ('begun' if a process died in it). Equal
-- refusals, and equal log-ins, are one row a minute, see audit_add.
create table audit (
    id      bigint generated always as identity primary key,
    at      timestamptz not null default clock_timestamp(),
    actor   text not null,
    action  text not null,
    subject text not null default '',
    source  text not null,                           -- the address that the request came from
    outcome text not null,
    times   integer not null default 1,
    since   timestamptz                              -- when the minute (or hour) of a sum began
);
create index audit_at on audit (at);
create index audit_sum on audit (since, actor) where since is not null;
create index audit_refused on audit (since) where since is not null and outcome <> 'done';
