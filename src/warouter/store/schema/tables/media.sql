-- A row for each file of the media directory, which all nodes share. It is written by add_media
-- after its file is whole and in place; a file without a row is an orphan and is removed after a
-- while.

create table media (
    id         uuid primary key,
    kind       smallint not null,                    -- 0 uploaded, 1 received
    mime       text not null,                        -- the whole Content-Type, with its parameters
    size       bigint not null,                      -- bytes
    sha256     bytea not null,
    handle     text,                                 -- of received media: the upstream's name
    created_at timestamptz not null default now(),
    number     integer not null default 1            -- whose media it is
);
create index media_created_at on media (created_at);
create unique index media_handle on media (handle, number) where handle is not null;
create trigger media_gone after delete on media
    referencing old table as gone for each statement execute function media_gone();

-- Media of customers that could not be fetched as its message came: it has its id, and is fetched when
-- somebody asks for it, or when it is due. The row goes once the file has its own, or once the upstream
-- has it no more.
create table media_wanted (
    handle text not null,                            -- the upstream's name
    id     uuid not null,                            -- as the callback says
    slot   smallint not null,                        -- whose owner tries
    mime   text not null,
    sha256 bytea,                                    -- as the message says; null: it does not
    tries  integer not null default 0,
    due_at timestamptz not null default now(),
    since  timestamptz not null default now(),
    number integer not null default 1,
    primary key (handle, number)
);
create unique index media_wanted_id on media_wanted (id);
create index media_wanted_due on media_wanted (due_at);

-- How many bytes each number has, kept by add_media and media_gone: a quota needs no count. It is one of
-- the installation. Who changes several rows does so in the order of their numbers.
create table media_total (
    number integer primary key,
    bytes  bigint not null
);
insert into media_total (number, bytes) values (1, 0);
