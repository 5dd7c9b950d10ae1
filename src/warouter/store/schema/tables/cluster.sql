-- Who is there, who leads, and who owns what. Written by the functions of ownership only:
-- register_node and beat (each process), win_term and the leader's functions, and hand_over,
-- release_slots and renew_epochs (an owner).

-- The hash that maps a recipient to a slot. A build with another one refuses to start.
create table format (
    one          boolean primary key default true check (one),
    hash_name    text not null,
    hash_version integer not null,
    upstream     text not null default 'simulator',  -- or `cloud:` and the id of the phone number
    shown_key    bytea not null default sha256(convert_to(gen_random_uuid()::text, 'UTF8'))
                                                     -- of the hash that stands for Meta's ids
);
insert into format (hash_name, hash_version) values ('xxh64', 1);

-- Counts leading masters. This row is the authority: every write of a leader is checked against it.
create table term (
    one         boolean primary key default true check (one),
    term        bigint not null,                     -- timeline * 2^32 + n, see next_number
    incarnation uuid,                                -- who leads, or led last
    won_at      timestamptz not null default now()
);
insert into term (term) values (0);

-- One row for each incarnation of a process, written when it starts.
create table node (
    incarnation  uuid primary key,
    name         text not null,
    role         text not null check (role in ('webapp', 'coreapp', 'master')),
    host         text not null,                      -- of a coreapp: where its link listens
    port         integer not null,
    link_key     bytea,                              -- of a coreapp: what both ends of a link prove
    fingerprint  text,                               -- of a coreapp: its link's certificate
    version      text not null,
    hash_name    text not null,
    hash_version integer not null,
    pid          integer not null,
    started_at   timestamptz not null default now(),
    leaving      boolean not null default false,     -- it asked for successors, as it will stop
    upstream     text not null,                      -- as in format
    certificate  bytea not null                      -- what it shows as it dials other hosts, in DER;
                                                     -- empty: it has none
);

-- What each process says every 400 ms. Half of each page is free, so that an update needs no other
-- page and no index entry.
create table beat (
    incarnation uuid primary key,
    counter     bigint not null,                     -- leaders judge by whether it moves
    upstream_ok boolean not null default true,       -- of a coreapp: it has its upstream
    unreached   uuid[] not null default '{}',        -- of a webapp: coreapps it has no link to
    journal_ok  boolean not null default true        -- of a coreapp: it can write its journals
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

create table shard_map (
    one        boolean primary key default true check (one),
    version    bigint not null,                      -- grows whenever a row of slot changes
    shards     integer not null check (shards in (1, 2, 4, 8, 16, 32)),
    changed_at timestamptz not null default now()
);
insert into shard_map (version, shards) values (1, 1);

-- Who owns each of the 32 slots. (slot, epoch, owner) is what every write of an owner is checked
-- against, see held_slots.
create table slot (
    slot      smallint primary key check (slot between 0 and 31),
    epoch     bigint not null,                       -- counts owners; see next_number
    owner     uuid,                                  -- an incarnation; null: nobody
    successor uuid,                                  -- to whom its owner is to hand it over
    why       text,                                  -- of the successor; null: an ordinary handover
    -- 1: the owner shall begin no request, as the slot is to move; 2: none is out any more.
    moving    smallint not null default 0,
    unsure    boolean not null default false         -- commits of its last owner may be lost
) with (fillfactor = 50);
insert into slot (slot, epoch) select s, 0 from generate_series(0, 31) s;

-- Each change of an owner, for people and for moved_lately.
create table owner_log (
    id              bigint generated always as identity primary key,
    at              timestamptz not null default clock_timestamp(),
    slot            smallint not null,
    from_incarnation uuid,
    to_incarnation  uuid,
    from_node       text,
    to_node         text,
    epoch           bigint not null,                 -- the new one
    term            bigint,                          -- of the leader who did it; null: an owner did
    reason          text not null,
    observed_age_ms integer,                         -- for how long the old owner had been silent
    opened_at       timestamptz                      -- when the new owner acted for the slot first
);
create index owner_log_at on owner_log (at);
create index owner_log_slot on owner_log (slot, id);

-- Requests for another shard count. One at a time is waiting or running.
create table shard_request (
    id           uuid primary key,
    shards       integer not null,
    state        text not null check (state in ('waiting', 'running', 'done', 'refused')),
    details      text,
    requested_at timestamptz not null default now(),
    ended_at     timestamptz
);
create unique index shard_request_one on shard_request ((true))
    where state in ('waiting', 'running');
create index shard_request_ended on shard_request (ended_at);
