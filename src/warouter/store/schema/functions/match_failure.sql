-- A failure that has neither a reference nor a known wamid is of this message, as its owner has found:
-- its only one to that recipient that may be out. It goes to the inbox, where it counts as any other.
--
-- Called by: store/journal/inbox.py
create function match_failure(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_key text, p_slot smallint,
    p_id bytea, p_attempt smallint)
returns void language plpgsql volatile
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    if not p_slot = any (held) then
        return;
    end if;
    with found as (
        delete from cloud_unmatched m where m.key = p_key
        returning m.key, m.wamid, m.recipient, m.payload)
    insert into cloud_inbox (slot, kind, key, id, attempt, wamid, recipient, payload)
    select p_slot, 0, f.key, p_id, p_attempt, f.wamid, f.recipient, f.payload from found f
    on conflict (key) do nothing;
end $$;
