-- The journal of messages of each slot, and how far it is settled. Written by the slot's owner
-- only, through append_messages, append_requests, record_progress and prune.

-- Appended once and not changed. A row stays until retention, and then as long as something points
-- to it (pointed_at): all that is parked, issued or held of a message is read from here.
create table message (
    slot        smallint not null,
    seq         bigint not null,                     -- given by the owner, ascending in its slot
    id          bytea not null,
    recipient   text not null,
    kind        smallint not null default 0,         -- in bits 0 to 2: 0 message, 1 read mark, 2 with
                                                     -- media; above: options of the sender (kinds.py)
    accepted_at timestamptz not null default now(),
    body        bytea not null,                      -- as it came
    ttl         integer,                             -- seconds from accepted_at; null: none given
    number      integer not null default 1,          -- whose message it is
    aside       boolean not null default false,      -- its sender may have it aside: see table aside
    primary key (slot, seq)
);
create unique index message_id on message (id);
create index message_aside on message (slot, number, seq) where aside;

-- Everything up to the mark is settled, and the ranges beyond it.
create table send_cursor (
    slot   smallint primary key,
    mark   bigint not null default 0,
    ranges bigint[] not null default '{}'            -- from, to, from, to ... beyond the mark
) with (fillfactor = 50);
insert into send_cursor (slot) select s from generate_series(0, 31) s;

-- Messages that must wait long, with the later ones of their lanes: each points to its row of
-- message and has what the wait adds. Found by lane, by the time to look at them, and in the
-- order of their wait's beginning.
--
-- What an index here goes by is repeated from there: number and recipient of the lane; the id, in whose order
-- the list of parked messages is read; whether there is a ttl, as few messages have one, and the
-- first of a lane that ends by it is found among those alone.
create table parked_message (
    slot        smallint not null,
    seq         bigint not null,
    id          bytea not null,
    recipient   text not null,
    has_ttl     boolean not null default false,
    attempts    integer not null,
    due_at      timestamptz not null,                -- when it is to be tried again; infinity:
                                                     -- once its lane is reopened
    reason      text not null,
    -- From when its wait counts: it never exceeds due_at - parked_at, wherever the clock goes.
    parked_at   timestamptz not null default now(),
    -- Of the first row of each lane: when to look at it; null in the others.
    look_at     timestamptz,
    number      integer not null default 1,
    primary key (slot, seq)
);
create index parked_message_lane on parked_message (slot, number, recipient, seq);
create index parked_message_id on parked_message (id);
create index parked_message_look on parked_message (slot, look_at) where look_at is not null;
create index parked_message_ahead on parked_message (slot, parked_at) where look_at is not null;
create index parked_message_ttl on parked_message (slot, number, recipient, seq) where has_ttl;

-- Idempotency keys. A row is kept for 24 hours, whatever becomes of its message.
create table request_key (
    key        bytea primary key,                    -- SHA-256 of number, user and the key given
    id         bytea not null,                       -- of the message that came first with it
    slot       smallint not null,
    request    bytea not null,                       -- SHA-256 of that request's body
    created_at timestamptz not null default now()
);
create index request_key_age on request_key (slot, created_at);
