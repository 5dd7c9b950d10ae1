-- Writes what a coreapp knows for whoever owns the slot now.
--
-- Called by: store/journal/inbox.py
create function tell_owner(p_slot smallint, p_kind smallint, p_key text, p_id bytea,
                           p_attempt smallint, p_wamid text, p_payload bytea, p_number integer)
returns void language sql volatile
security definer set search_path from current as $$
    insert into cloud_inbox (slot, kind, key, id, attempt, wamid, payload, number)
    values (p_slot, p_kind, p_key, p_id, p_attempt, p_wamid, p_payload, p_number)
    on conflict (key, number) do nothing
$$;
