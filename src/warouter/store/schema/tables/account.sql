-- The phone number that each number has registered, and those that the upstream was asked about.

create table account (
    cc            text not null,
    phone_number  text not null,
    cert          text,
    authority_key bytea,
    pin_hash      text,                              -- of the two-step verification
    registered_at timestamptz not null default now(),
    number        integer primary key default 1 references number
);

-- The phone number that a code was asked for. Whichever webapp hears the code finds it here.
create table registration (
    cc           text not null,
    phone_number text not null,
    cert         text not null,
    pin_hash     text,
    asked_at     timestamptz not null default now(),
    number       integer primary key default 1 references number
);

-- The upstream's last answer to a number about a customer's (WAROUTER_REQUIRE_CONTACT_CHECK).
create table contact (
    wa_id      text not null collate "C",
    valid      boolean not null,                     -- on WhatsApp
    checked_at timestamptz not null default now(),
    number     integer not null default 1,           -- who asked
    primary key (wa_id, number)
);
create index contact_valid on contact (checked_at) where valid;
create index contact_invalid on contact (checked_at) where not valid;
