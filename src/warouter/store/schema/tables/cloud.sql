-- State of the Cloud API: issued requests, the ids that it gave, elements of its webhooks, whether
-- webhooks arrive, and the users and numbers that its ids stand for.

-- A request to the Cloud API that may be out, or may have been taken. A row is written before the
-- request begins, and goes when its message is settled.
create table send_issue (
    slot      smallint not null,
    seq       bigint not null,                       -- of the message
    id        bytea not null,
    recipient text not null,
    attempt   smallint not null,                     -- in the reference of the last request, from 1
    doubts    smallint not null default 0,           -- earlier attempts that may have been taken
    spared    smallint not null default 0,           -- of those, the ones that use up no attempt
    state     smallint not null,                     -- 1 issued, 2 in doubt, 3 held, 4 not taken,
                                                     -- 5 in doubt aside, 6 told as failed, 7 aside
                                                     -- and not taken, 8 to be sent again:
                                                     -- flow/doubt/states.py
    at        timestamptz not null default clock_timestamp(),  -- issued, in doubt, or held since
    cause     text,                                  -- of the doubt
    look_at   timestamptz,                           -- when time may change the state; null: never
    number    integer not null default 1,            -- whose message it is
    primary key (slot, seq)
) with (fillfactor = 50);
create unique index send_issue_id on send_issue (id);
create index send_issue_look on send_issue (slot, look_at) where look_at is not null;
create index send_issue_issued on send_issue (slot, seq) where state = 1;

-- The ids that the Cloud API gave our messages, of each attempt that was taken. Written by the
-- slot's owner; kept for 30 days at least, whatever is pruned.
--
-- A wamid is a random key: in an index of all of them each row would touch another page, and write
-- half of it into the WAL. So it is unique beside the id of its message, which ascends in its slot; and
-- it is looked up by a hash below the two hours in which it was recorded (ids_of_wamids). A wamid is
-- unique among those of one number only.
create table upstream_id (
    wamid   text not null,
    slot    smallint not null,
    id      bytea not null,
    attempt smallint not null,
    wa_id   text,                                    -- the recipient as the Cloud API spells it
    user_id text,
    held    boolean not null default false,          -- Meta holds it back: no status for a while
    failed  boolean not null default false,          -- as a status said
    twice   uuid,                                    -- beside another of its message: who was told so
    at      timestamptz not null default now(),
    number  integer not null default 1               -- whose message it is
);
create unique index upstream_id_key on upstream_id (id, hashtextextended(wamid, 0));
create index upstream_id_wamid on upstream_id
    (date_bin('2 hours', at, timestamptz 'epoch'), hashtextextended(wamid, 0));
create index upstream_id_at on upstream_id (at);
create index upstream_id_twice on upstream_id (at) where twice is not null;
create trigger upstream_id_known after insert on upstream_id
    referencing new table as known for each statement execute function match_known();

-- Elements of webhooks, until the slot's owner has them in its journals. Written by webapps, in the
-- order of the keys; an owner reads the rows of its slots and deletes just those.
create table cloud_inbox (
    n         bigint generated always as identity primary key,
    slot      smallint not null,
    kind      smallint not null,                     -- 0 status, 1 inbound, 2 word, 3 error, 4 asked
    key       text not null,
    id        bytea,                                 -- of our message, from its reference or its wamid
    attempt   smallint,
    wamid     text,
    recipient text,                                  -- the v1 wa_id on the other side
    payload   bytea not null,                        -- the element as it came
    contact   bytea,                                 -- the element of contacts[] that belongs to it
    at        timestamptz not null default now(),
    number    integer not null default 1             -- to which it came
);
create unique index cloud_inbox_key on cloud_inbox (key, number);
create index cloud_inbox_slot on cloud_inbox (slot, n);
create index cloud_inbox_id on cloud_inbox (id) where id is not null;

-- Statuses of ids that are not in upstream_id: those of other senders, and ours whose answer is not
-- recorded yet. Kept for 8 days.
create table cloud_unmatched (
    wamid     text not null,
    key       text not null,
    recipient text,
    payload   bytea not null,
    at        timestamptz not null default now(),
    number    integer not null default 1,            -- to which it came
    primary key (key, number)
);
create index cloud_unmatched_wamid on cloud_unmatched (number, wamid);
create index cloud_unmatched_at on cloud_unmatched (at);

-- Signed webhooks that could not be read, the newest few of each app.
create table cloud_quarantine (
    id     bigint generated always as identity,
    at     timestamptz not null default now(),
    reason text not null,
    body   bytea not null,
    app    integer not null default 1,               -- which signed it
    primary key (app, id)
);

-- Meta's last notice about the account of each number, or about one of nobody here, by the field of its
-- webhook.
create table cloud_notice (
    field  text not null,
    said   text not null,
    at     timestamptz not null default now(),
    number integer not null default 0,               -- 0: all of them are to know
    primary key (number, field)
);

-- Counts of webhook elements that may carry a customer's words and led to no callback, by the field
-- of the webhook: 50 names. They are of all numbers: what nobody can read names none.
create table cloud_left_out (
    field text primary key,
    count bigint not null,
    since timestamptz not null default now(),
    at    timestamptz not null default now()         -- of the last
);

-- Those of them that may still be wanted, as they came. Kept as long as messages.
create table cloud_kept (
    key     text not null,
    field   text not null,
    payload bytea not null,
    at      timestamptz not null default now(),
    number  integer not null default 1,              -- to which it came
    primary key (key, number)
);
create index cloud_kept_at on cloud_kept (at);

-- Whether webhooks can reach us, as each webapp sees it.
create table cloud_path (
    webapp  uuid primary key,                        -- incarnation
    since   timestamptz not null default clock_timestamp(),  -- since when it listens and answers 200
    seen_at timestamptz not null default clock_timestamp(),  -- when it said so last
    left_at timestamptz,                             -- it stopped in order
    meta_at timestamptz,                             -- the newest time that an event carried
    inbound real not null default 0,                 -- inbound messages a second
    vain_at timestamptz                              -- since then each POST may be a stranger's
) with (fillfactor = 50);

-- Users of WhatsApp by the id that the Cloud API gives them, with or without a number. A row stays for a
-- year after its user was seen, and one with an alias for good: the business has no other name of it.
-- Another portfolio of the business's has ids, and so users and aliases, of its own.
create table contact_identity (
    user_id        text not null,
    wa_id          text,
    alias          text,                             -- the digits that v1 sees while there is no number
    parent_user_id text,
    username       text,
    name           text,
    seen_at        timestamptz not null default now(),  -- to 30 days
    successor      text,                             -- the present id of the user; null: this one
    portfolio      integer not null default 1,       -- within which all of these are unique
    primary key (user_id, portfolio),
    unique (wa_id, portfolio),
    unique (alias, portfolio)
);
create index contact_identity_successor on contact_identity (successor) where successor is not null;
create index contact_identity_seen on contact_identity (seen_at) where alias is null;

-- Contacts to which a message of a number failed with Meta's 131026, and when by Meta's clock:
-- POST /v1/contacts of that number calls them invalid for a day. Written by owners, unfenced.
create table cloud_unreachable (
    wa_id  text not null,
    at     timestamptz not null,
    number integer not null default 1,
    primary key (number, wa_id)
);
create index cloud_unreachable_at on cloud_unreachable (at);

-- The identities of customers: the hash of their app's keys as webhooks show it, and which hash the
-- business has acknowledged. The first one of a customer is acknowledged at once, by each number.
create table contact_key (
    wa_id        text not null,                      -- as v1 knows the customer: a number, or an alias
    hash         text not null,
    since        timestamptz not null,               -- by Meta's clock
    acknowledged text,
    number       integer not null default 1,         -- to which it was shown
    primary key (number, wa_id)
);

-- Switches of a number that were set at Meta, and their values; null: Meta did not answer.
create table cloud_switch (
    name   text not null,
    told   boolean,
    number integer not null default 1,
    primary key (number, name)
);

-- Why a number is stopped, for each token that Meta refuses: owners with another token send on.
create table cloud_pause (
    code       integer not null,
    details    text not null,
    token_hash bytea not null,
    at         timestamptz not null default clock_timestamp(),
    number     integer not null default 1,
    primary key (number, token_hash)
);

-- Templates of which Meta has held a message back lately: a message of theirs in doubt waits longer.
-- They are an account's, by its id at Meta (WABA), and so of all its numbers.
create table cloud_held (
    template text not null,
    at       timestamptz not null default now(),
    account  text not null,
    primary key (account, template)
);

-- The demand of each owner for a number, from which every owner computes its share of that one's
-- rate.
create table cloud_share (
    incarnation uuid not null,
    demand      real not null,                       -- messages queued, and sent in the last second
    seen_at     timestamptz not null default clock_timestamp(),
    token_hash  bytea,                               -- of its token; null: not known yet
    number      integer not null default 1,
    primary key (incarnation, number)
) with (fillfactor = 50);

-- Each number as the Cloud API described it last.
create table cloud_number (
    level    integer not null,                       -- messages/s in and out
    facts    jsonb not null default '{}',            -- quality, names, health, as it said
    read_at  timestamptz not null default clock_timestamp(),
    number   integer primary key default 1
);
