-- Consumers (a number's sender, a destination) that are aside in one log of a slot: each has a
-- position of its own there, and the slot's cursor passes over its rows (flow/aside.py). Written by
-- the slot's owner only, through record_progress.
create table aside (
    slot     smallint not null,
    log      smallint not null,                      -- 0 messages, 1 statuses, 2 inbound
    consumer bigint not null,                        -- log 0: the number; else the destination
    number   integer not null,
    base     bigint not null,                        -- up to here it takes its rows in FLOW
    since    bigint not null,                        -- up to here its rows may have no flag
    upto     bigint,                                 -- the last seq of its own; null: no end yet
    flow     bigint[] not null default '{}',         -- from, to ...: taken in FLOW, beyond base
    mark     bigint not null,                        -- how far its own rows are settled, and beyond
    ranges   bigint[] not null default '{}',         -- it: as in send_cursor
    why      smallint not null,                      -- 1 stopped, 2 behind, 3 down, 4 slow, 5 paused,
                                                     -- 6 replay
    at       timestamptz not null default clock_timestamp(),
    primary key (slot, log, consumer)
) with (fillfactor = 50);
