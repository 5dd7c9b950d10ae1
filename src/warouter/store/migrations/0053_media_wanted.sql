-- runs with: 11
--
-- Inbound media that is fetched later.

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

-- Registers a file of the media directory and returns the id under which it is known: p_id, or the
-- id of the file that is already known under the same handle. Null when the file does not fit into
-- the quota (bytes; 0 means no quota). What has its file is not wanted any more.
--
-- The update of media_total comes first and locks its row, so that two uploads at once cannot both
-- take the last of the quota.
--
-- Called by: store/media.py
create or replace function add_media(p_id uuid, p_kind smallint, p_mime text, p_size bigint, p_sha256 bytea,
                          p_handle text, p_quota bigint)
returns uuid language plpgsql volatile
security definer set search_path from current as $$
declare
    known uuid;
begin
    update media_total set bytes = bytes + p_size where p_quota = 0 or bytes + p_size <= p_quota;
    if not found then
        return null;
    end if;
    delete from media_wanted where handle = p_handle;
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
