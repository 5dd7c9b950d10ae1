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

-- How many bytes there are in all, kept by add_media and media_gone: a quota needs no count.
create table media_total (
    one   boolean primary key default true check (one),
    bytes bigint not null
);
insert into media_total (bytes) values (0);
