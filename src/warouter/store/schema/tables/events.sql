-- The journals of events of each slot (kind 0 statuses, kind 1 inbound messages), how far each is
-- settled, and what could not be delivered. Written by the slot's owner only, through
-- append_events, record_progress, take_up_letters and prune; an operator marks dead letters
-- (asked_at).
--
-- The two kinds have a seq and a cursor each: a receiver that refuses every status must not hold up
-- its inbound messages by it.

-- A row stays until retention, and then as long as the event is parked.
create table event (
    slot        smallint not null,
    seq         bigint not null,
    kind        smallint not null,                   -- 0 status, 1 inbound message
    key         text not null,                       -- "<id>:<status>..." or the upstream's id
    recipient   text not null,                       -- the other side's wa_id
    payload     bytea not null,                      -- an element of the callback's array
    contact     bytea,
    recorded_at timestamptz not null default now(),
    number      integer not null default 1,          -- whose event it is
    aside       boolean not null default false,      -- a destination may have it aside
    primary key (slot, kind, seq)
);
create unique index event_key on event (key, number);
create index event_aside on event (slot, kind, number, seq) where aside;

create table event_cursor (
    slot   smallint not null,
    kind   smallint not null,
    mark   bigint not null default 0,
    ranges bigint[] not null default '{}',           -- as in send_cursor
    primary key (slot, kind)
) with (fillfactor = 50);
insert into event_cursor (slot, kind)
select s, k from generate_series(0, 31) s, generate_series(0, 1) k;

-- Events that must wait long: each points to its row of event; see parked_message.
create table parked_event (
    slot      smallint not null,
    seq       bigint not null,
    kind      smallint not null,
    recipient text not null,
    attempts  integer not null,
    due_at    timestamptz not null,
    first_at  timestamptz not null default now(),    -- the time to give up counts from here
    reason    text not null,
    parked_at timestamptz not null default now(),
    look_at   timestamptz,
    number    integer not null default 1,
    primary key (slot, kind, seq)
);
create index parked_event_lane on parked_event (slot, kind, number, recipient, seq);
create index parked_event_look on parked_event (slot, kind, look_at) where look_at is not null;
create index parked_event_ahead on parked_event (slot, parked_at) where look_at is not null;

-- Events that were given up, whole: a letter stays for longer than the journal's row, and is written
-- back there when it is to be delivered again (take_up_letters).
create table dead_letter (
    slot        smallint not null,
    seq         bigint not null,
    kind        smallint not null,
    key         text not null,
    recipient   text not null,
    payload     bytea not null,
    contact     bytea,
    recorded_at timestamptz not null default now(),  -- as in the journal
    attempts    integer not null,
    died_at     timestamptz not null default now(),
    reason      text not null,
    asked_at    timestamptz,                         -- when an operator asked for its replay
    number      integer not null default 1,
    primary key (slot, kind, seq)
);
create index dead_letter_key on dead_letter (key);
create index dead_letter_asked on dead_letter (slot) where asked_at is not null;
create index dead_letter_died on dead_letter (died_at);
create index dead_letter_asked_order on dead_letter (slot, kind, seq) where asked_at is not null;
