-- runs with: 3
--
-- What the settings hold that is no JSON of a few fields: the profile photo and sticker packs.
-- Everything else of them lies in table `setting`.

create table profile_photo (
    one        boolean primary key default true check (one),
    mime       text not null,
    data       bytea not null,
    changed_at timestamptz not null default now()
);
alter table profile_photo alter column data set storage external;  -- it is compressed already

create table sticker_pack (
    id                     uuid primary key default gen_random_uuid(),
    publisher              text not null,
    name                   text not null,
    ios_app_store_link     text not null,
    android_app_store_link text not null,
    next_index             integer not null default 0,   -- an index is given once
    created_at             timestamptz not null default clock_timestamp()
);

create table sticker (
    pack          uuid not null references sticker_pack on delete cascade,
    index         integer not null,
    image_data_id text not null,
    emojis        text[] not null,
    primary key (pack, index)
);

-- How often PUT /v1/services/message/gc was called. Not a setting, lest a restored backup call it.
insert into change (what, version) values ('message_gc', 0);

-- Coreapps hear of the settings' counter with their beats, look at the other one, and prune.
create function ask_for_gc() returns void language sql volatile as $$
    update change set version = version + 1 where what in ('message_gc', 'settings');
    select pg_notify('warouter', 'settings');
$$;
