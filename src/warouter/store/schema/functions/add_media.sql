-- Registers a file of the media directory and returns the id under which it is known: p_id, or the
-- id of the file that is already known under the same handle. Null when the file does not fit into
-- the quota (bytes; 0 means no quota). What has its file is not wanted any more.
--
-- The update of media_total comes first and locks its row, so that two uploads at once cannot both
-- take the last of the quota.
--
-- Called by: store/media.py
create function add_media(p_id uuid, p_kind smallint, p_mime text, p_size bigint, p_sha256 bytea,
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
