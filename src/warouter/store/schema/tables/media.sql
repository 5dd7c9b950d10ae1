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
    created_at timestamptz not null default now()
);
create index media_created_at on media (created_at);
create unique index media_handle on media (handle) where handle is not null;
create trigger media_gone after delete on media
    referencing old table as gone for each statement execute function media_gone();

-- Media of customers that could not be fetched as its message came: it has its id, and is fetched when
-- somebody asks for it, or when it is due. The row goes once the file has its own, or once the upstream
-- has it no more.
create table media_wanted (
    handle text primary key,                         -- the upstream's name
    id     uuid not null,                            -- as the callback says
    slot   smallint not null,                        -- whose owner tries
    mime   text not null,
    sha256 bytea,                                    -- as the message says; null: it does not
    tries  integer not null default 0,
    due_at timestamptz not null default now(),
    since  timestamptz not null default now()
);
create unique index media_wanted_id on media_wanted (id);
create index media_wanted_due on media_wanted (due_at);

-- How many bytes there are in all, kept by add_media and media_gone: a quota needs no count.
create table media_total (
    one   boolean primary key default true check (one),
    bytes bigint not null
);
insert into media_total (bytes) values (0);
