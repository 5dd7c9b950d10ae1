-- Numbers, users, their tokens, keys, attempts at passwords and pins, and the audit log.

-- The numbers of the installation. auth_version is where the counter 'auth' stood when the number, or a
-- user, a token or a key of it was changed last: webapps read those of the numbers anew that have a
-- later one than they have seen. Written by bump_auth and bump_number. Whoever changes a number locks
-- the counter first, as whoever changes users (bounded.changing).
create table number (
    id           integer primary key check (id between 1 and 1000000),
    name         text not null unique
                 check (name ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(name) <= 32),
    host         text unique                         -- the requests to it are the number's
                 check (host ~ '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$'),
    state        text not null default 'active'      -- paused: it accepts messages and sends none;
                 check (state in ('active', 'paused', 'removed')),  -- removed: it is as if unknown
    auth_version bigint not null default 0,
    created_at   timestamptz not null default now()
) with (fillfactor = 50);
create index number_auth on number (auth_version);
create index number_inactive on number (id) where state <> 'active';
insert into number (id, name) values (1, 'default');
create trigger number_changed before insert or update of name, host, state on number
    for each row execute function bump_number();

create table user_account (
    username      text not null,
    password_hash text not null,
    role          text not null check (role in ('ROLE_ADMIN', 'ROLE_USER')),
    must_change   boolean not null default false,    -- the password, before anything else
    created_at    timestamptz not null default now(),
    number        integer not null default 1 references number,
    primary key (number, username)
);
create trigger user_changed after insert or update or delete on user_account
    for each row execute function bump_auth();

-- No trigger on insert: a new token is in no cache that could be stale.
create table token (
    hash       bytea primary key,                    -- SHA-256 of the token, which is not stored
    username   text not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    used_at    timestamptz not null default now(),   -- to a few seconds
    number     integer not null default 1,
    foreign key (number, username) references user_account on delete cascade
);
create index token_username on token (number, username);
create trigger token_changed after update of username, expires_at or delete on token
    for each row execute function bump_auth();

-- Credentials of programs, which do not log in. What a key may do never grows: a row is added, and
-- ended. It stays for 90 days then, so that rows of the audit log can be told whose they are.
create table api_key (
    id         bigint generated always as identity primary key,
    hash       bytea not null unique check (octet_length(hash) = 32),
                                                     -- SHA-256 of the key, which is not stored
    name       text not null,
    starts     text not null,                        -- its first characters, for people
    scopes     integer not null check (scopes > 0),  -- bits of access/scopes.py
    networks   cidr[] not null default '{}',         -- where it may be used; none: anywhere
    expires_at timestamptz,                          -- null: it has no end
    created_at timestamptz not null default now(),
    created_by text not null,
    used_at    timestamptz,                          -- to a minute or so
    ended_at   timestamptz,
    number     integer not null references number
);
create index api_key_number on api_key (number, id);
create trigger key_changed after update of ended_at or delete on api_key
    for each row execute function bump_auth();

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

-- Who did what that matters, from where, and how it ended. Rows are only ever added, see audit_keep,
-- and each has the hash of the one before it in its own. An action has one row when it begins
-- ('begun') and one when it has ended; without the latter, a process died in it. Equal refusals, and
-- equal log-ins, are one row a minute, see audit_add.
create table audit (
    id      bigint generated always as identity primary key,
    at      timestamptz not null default clock_timestamp(),
    actor   text not null,
    action  text not null,
    subject text not null default '',
    source  text not null,                           -- the address that the request came from
    outcome text not null,
    times   integer not null default 1,
    since   timestamptz,                             -- when the first of a sum came
    of      bigint,                                  -- the first row of the action that ended with this
    hash    bytea not null
);
create index audit_at on audit (at);
create index audit_sum on audit (since, actor) where since is not null;
create index audit_refused on audit (since) where since is not null and outcome <> 'done';
create trigger audit_append before insert on audit
    for each row execute function audit_append();
create trigger audit_keep before update or delete on audit
    for each row execute function audit_keep();
create trigger audit_keep_all before truncate on audit
    for each statement execute function audit_keep();

-- Sums of equal refusals and log-ins whose minute, or hour, is not over. Written by audit_add.
create table audit_pending (
    since   timestamptz not null,                    -- when the minute, or hour, began
    actor   text not null,
    action  text not null,
    source  text not null,
    outcome text not null,
    times   integer not null,
    first   timestamptz not null default clock_timestamp(),
    until   timestamptz not null,
    primary key (since, actor, action, source, outcome)
);

-- Both ends of the chain, in one row: the newest row of the audit log, and the anchor, which is the
-- last row that retention deleted. Only the functions of the audit log write it.
create table audit_chain (
    one          boolean primary key default true check (one),
    tail_id      bigint not null,
    tail_hash    bytea not null,
    head_id      bigint not null,
    head_hash    bytea not null,
    pruned_by    xid8,                               -- the transaction that moved the anchor last
    kept_days    integer not null default 1 check (kept_days >= 1),  -- no row goes before
    check (tail_id <= head_id)
);
insert into audit_chain (tail_id, tail_hash, head_id, head_hash)
values (0, sha256(''), 0, sha256(''));

-- Who is logged in at the console. A session is no token: each is looked for in its own table only.
-- Written by console_begin, console_visitor and console_end.
create table console_session (
    hash       bytea primary key check (octet_length(hash) = 32),
                                                     -- SHA-256 of the id, which is not stored
    username   text not null,
    source     text not null,                        -- the address that logged in
    created_at timestamptz not null default clock_timestamp(),
    seen_at    timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,                 -- 30 minutes unseen, or 12 hours in all
    number     integer not null default 1,
    foreign key (number, username) references user_account on delete cascade
);
create index console_session_username on console_session (number, username);
create trigger console_user_changed after update on user_account
    for each row
    when (old.password_hash is distinct from new.password_hash or old.role is distinct from new.role
          or old.must_change is distinct from new.must_change)
    execute function console_user_changed();
