-- The settings of each number, and the counters by which caches and coreapps hear of changes.

-- One row a counter. 'auth' (users and tokens) and 'settings' are raised by triggers that call bump;
-- 'message_gc' says how often PUT /v1/services/message/gc was called; it is no setting, since a
-- restored backup must not call it.
create table change (
    what    text primary key,
    version bigint not null
);
insert into change (what, version) values ('auth', 1), ('settings', 1), ('message_gc', 0);

create table setting (
    name   text not null,                            -- 'application', 'profile', ...
    value  jsonb not null,
    number integer not null default 1 references number,
    primary key (number, name)
);
create trigger setting_changed after insert or update or delete on setting
    for each statement execute function bump('settings');

-- What operators have asked of the coreapps' callbacks: written by ask_callbacks only.
create table callback_request (
    id   bigint generated always as identity primary key,
    what text not null check (what in ('test', 'retry')),
    at   timestamptz not null default now()
);

create table profile_photo (
    mime       text not null,
    data       bytea not null,
    changed_at timestamptz not null default now(),
    number     integer primary key default 1 references number
);
alter table profile_photo alter column data set storage external;  -- it is compressed already

create table sticker_pack (
    id                     uuid primary key default gen_random_uuid(),
    publisher              text not null,
    name                   text not null,
    ios_app_store_link     text not null,
    android_app_store_link text not null,
    next_index             integer not null default 0,   -- an index is given once
    created_at             timestamptz not null default clock_timestamp(),
    number                 integer not null default 1 references number
);
create index sticker_pack_number on sticker_pack (number);

create table sticker (
    pack          uuid not null references sticker_pack on delete cascade,
    index         integer not null,
    image_data_id text not null,
    emojis        text[] not null,
    primary key (pack, index)
);
