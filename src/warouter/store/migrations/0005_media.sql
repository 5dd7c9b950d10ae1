-- runs with: 3
--
-- Media: a row for each file of the media directory, which all nodes share. The row is written after
-- its file is whole and in place; a file without a row is an orphan and is removed after a while.

create table media (
    id         uuid primary key,
    kind       smallint not null,                  -- 0 uploaded, 1 received
    mime       text not null,                      -- the whole Content-Type, with its parameters
    size       bigint not null,                    -- bytes
    sha256     bytea not null,
    handle     text,                               -- of received media: what the upstream calls it
    created_at timestamptz not null default now()
);
create index media_created_at on media (created_at);
create unique index media_handle on media (handle) where handle is not null;

-- How much there is, kept by the triggers below, so that a quota costs no count.
create table media_total (
    one   boolean primary key default true check (one),
    bytes bigint not null
);
insert into media_total (bytes) values (0);

create function media_gone() returns trigger language plpgsql as $$
begin
    update media_total set bytes = bytes - (select coalesce(sum(size), 0) from gone);
    return null;
end $$;
create trigger media_gone after delete on media
    referencing old table as gone for each statement execute function media_gone();

-- The id under which the media is known: the given one, or that of the same handle; null when it
-- does not fit into the quota (bytes, 0 is none). The total's row lock makes the quota exact.
create function add_media(p_id uuid, p_kind smallint, p_mime text, p_size bigint, p_sha256 bytea,
                          p_handle text, p_quota bigint)
returns uuid language plpgsql volatile as $$
declare
    known uuid;
begin
    update media_total set bytes = bytes + p_size where p_quota = 0 or bytes + p_size <= p_quota;
    if not found then
        return null;
    end if;
    insert into media (id, kind, mime, size, sha256, handle)
    values (p_id, p_kind, p_mime, p_size, p_sha256, p_handle)
    on conflict (handle) where handle is not null do nothing;
    if found then
        return p_id;
    end if;
    update media_total set bytes = bytes - p_size;
    select id into known from media where handle = p_handle;
    return known;
end $$;
