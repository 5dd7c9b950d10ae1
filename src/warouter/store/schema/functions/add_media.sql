-- Registers a file of the media directory and returns the id under which it is known: p_id, or the
-- id of the file that is already known under the same handle of the number. Null when the file does
-- not fit into the quota (bytes of all numbers; 0 means no quota). What has its file is not wanted any
-- more.
--
-- The total of number 1 comes first, whosever file it is: its row is locked from then on, so that two
-- uploads at once cannot both take the last of the quota. Each statement after that sees what those
-- before have added.
--
-- Called by: store/media.py
create function add_media(p_id uuid, p_kind smallint, p_mime text, p_size bigint, p_sha256 bytea,
                          p_handle text, p_quota bigint, p_number integer)
returns uuid language plpgsql volatile
security definer set search_path from current as $$
declare
    known uuid;
begin
    if p_number <> 1 then
        perform from media_total where number = 1 for update;
        insert into media_total (number, bytes) values (p_number, 0) on conflict do nothing;
    end if;
    update media_total set bytes = bytes + p_size where number = p_number;
    if p_quota > 0 and (select sum(bytes) from media_total) > p_quota then
        update media_total set bytes = bytes - p_size where number = p_number;
        return null;
    end if;
    delete from media_wanted where handle = p_handle and number = p_number;
    insert into media (id, kind, mime, size, sha256, handle, number)
    values (p_id, p_kind, p_mime, p_size, p_sha256, p_handle, p_number)
    on conflict (handle, number) where handle is not null do nothing;
    if found then
        return p_id;
    end if;
    update media_total set bytes = bytes - p_size where number = p_number;
    select id into known from media where handle = p_handle and number = p_number;
    return known;
end $$;
