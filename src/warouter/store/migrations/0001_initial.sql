-- The first schema of warouter. Everything lies in the schema that the runner has made current.
--
-- Advisory lock classes (two-key form, one registry for the whole database; see store/locks.py):
--   7701 leader (session)   7702 term (transaction)   7703 slot (transaction)   7704 alive (session)
--   7705 migrate (session)
--
-- Every function that writes for an owner is VOLATILE and meant for READ COMMITTED: the shared slot
-- lock is taken by one statement, the owner is checked by a later one, so the check's snapshot is
-- never older than the lock. A check in the same statement let stale commits through.

create table format (
    one          boolean primary key default true check (one),
    hash_name    text not null,
    hash_version integer not null
);
insert into format (hash_name, hash_version) values ('xxh64', 1);

-- The number that follows ``old``: timeline * 2^32 + n, so that a standby which was promoted without
-- the last takeover cannot hand the same number out again.
create function next_number(old bigint) returns bigint language sql volatile as $$
    select greatest(old, (('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint) << 32) + 1
$$;

-- ---------------------------------------------------------------- nodes, term, shard map

create table term (
    one         boolean primary key default true check (one),
    term        bigint not null,
    incarnation uuid,
    won_at      timestamptz not null default now()
);
insert into term (term) values (0);

create table node (
    incarnation  uuid primary key,
    name         text not null,
    role         text not null check (role in ('webapp', 'coreapp', 'master')),
    host         text not null,
    port         integer not null,
    link_key     bytea,
    fingerprint  text,
    version      text not null,
    hash_name    text not null,
    hash_version integer not null,
    pid          integer not null,
    started_at   timestamptz not null default now(),
    leaving      boolean not null default false
);

create table beat (
    incarnation uuid primary key,
    counter     bigint not null,
    upstream_ok boolean not null default true
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

create table shard_map (
    one        boolean primary key default true check (one),
    version    bigint not null,
    shards     integer not null check (shards in (1, 2, 4, 8, 16, 32)),
    changed_at timestamptz not null default now()
);
insert into shard_map (version, shards) values (1, 1);

create table slot (
    slot      smallint primary key check (slot between 0 and 31),
    epoch     bigint not null,
    owner     uuid,
    successor uuid
) with (fillfactor = 50);
insert into slot (slot, epoch) select s, 0 from generate_series(0, 31) s;

create table owner_log (
    id              bigint generated always as identity primary key,
    at              timestamptz not null default clock_timestamp(),
    slot            smallint not null,
    from_incarnation uuid,
    to_incarnation  uuid,
    from_node       text,
    to_node         text,
    epoch           bigint not null,
    term            bigint,
    reason          text not null,
    observed_age_ms integer
);
create index owner_log_at on owner_log (at);

create table shard_request (
    id           uuid primary key,
    shards       integer not null,
    state        text not null check (state in ('waiting', 'running', 'done', 'refused')),
    details      text,
    requested_at timestamptz not null default now(),
    ended_at     timestamptz
);
create unique index shard_request_one on shard_request ((true)) where state in ('waiting', 'running');

-- ---------------------------------------------------------------- journal of messages

create table message (
    slot        smallint not null,
    seq         bigint not null,
    id          bytea not null,
    recipient   text not null,
    kind        smallint not null default 0,       -- 0 message, 1 read mark
    accepted_at timestamptz not null default now(),
    body        bytea not null,
    primary key (slot, seq)
);
create unique index message_id on message (id);

create table send_cursor (
    slot   smallint primary key,
    mark   bigint not null default 0,
    ranges bigint[] not null default '{}'           -- from, to, from, to ... beyond the mark
) with (fillfactor = 50);
insert into send_cursor (slot) select s from generate_series(0, 31) s;

create table parked_message (
    slot      smallint not null,
    seq       bigint not null,
    id        bytea not null,
    recipient text not null,
    kind      smallint not null,
    body      bytea not null,
    attempts  integer not null,
    due_at    timestamptz not null,
    reason    text not null,
    primary key (slot, seq)
);

create index parked_message_lane on parked_message (slot, recipient, seq);

-- ---------------------------------------------------------------- journal of events
-- Statuses and inbound messages of a slot are two journals with a seq and a cursor each: some
-- receivers refuse every status for ever and must not hold up their messages by it.

create table event (
    slot        smallint not null,
    seq         bigint not null,
    kind        smallint not null,                  -- 0 status, 1 inbound message
    key         text not null,
    recipient   text not null,
    payload     bytea not null,
    contact     bytea,
    recorded_at timestamptz not null default now(),
    primary key (slot, kind, seq)
);
create unique index event_key on event (key);

create table event_cursor (
    slot   smallint not null,
    kind   smallint not null,
    mark   bigint not null default 0,
    ranges bigint[] not null default '{}',
    primary key (slot, kind)
) with (fillfactor = 50);
insert into event_cursor (slot, kind) select s, k from generate_series(0, 31) s, generate_series(0, 1) k;

create table parked_event (
    slot      smallint not null,
    seq       bigint not null,
    kind      smallint not null,
    key       text not null,
    recipient text not null,
    payload   bytea not null,
    contact   bytea,
    attempts  integer not null,
    due_at    timestamptz not null,
    first_at  timestamptz not null default now(),
    reason    text not null,
    primary key (slot, kind, seq)
);

create index parked_event_lane on parked_event (slot, kind, recipient, seq);

create table dead_letter (
    slot      smallint not null,
    seq       bigint not null,
    kind      smallint not null,
    key       text not null,
    recipient text not null,
    payload   bytea not null,
    contact   bytea,
    attempts  integer not null,
    died_at   timestamptz not null default now(),
    reason    text not null,
    primary key (slot, kind, seq)
);

-- ---------------------------------------------------------------- users, settings, account

create table user_account (
    username      text primary key,
    password_hash text not null,
    role          text not null check (role in ('ROLE_ADMIN', 'ROLE_USER')),
    must_change   boolean not null default false,
    created_at    timestamptz not null default now()
);

create table token (
    hash       bytea primary key,                   -- SHA-256 of the token; the token is not stored
    username   text not null references user_account on delete cascade,
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
);
create index token_username on token (username);

-- One row per counter that caches follow: users and tokens ('auth'), settings ('settings').
create table change (
    what    text primary key,
    version bigint not null
);
insert into change (what, version) values ('auth', 1), ('settings', 1);

create function bump() returns trigger language plpgsql as $$
begin
    update change set version = version + 1 where what = tg_argv[0];
    perform pg_notify('warouter', tg_argv[0]);
    return null;
end $$;

create trigger user_changed after insert or update or delete on user_account
    for each statement execute function bump('auth');
create trigger token_changed after update or delete on token
    for each statement execute function bump('auth');

create table setting (
    name  text primary key,                         -- 'application', 'profile', ...
    value jsonb not null
);
create trigger setting_changed after insert or update or delete on setting
    for each statement execute function bump('settings');

create table account (
    one           boolean primary key default true check (one),
    cc            text not null,
    phone_number  text not null,
    cert          text,
    authority_key bytea,
    pin_hash      text,
    registered_at timestamptz not null default now()
);
