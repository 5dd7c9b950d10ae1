-- Appends a batch of events as append_events does, and records progress as record_progress does, in
-- one commit: the status that tells the end of a message, the settlement of that message, and what
-- becomes of its issue row. Returns what append_events does; the progress of a slot is recorded unless
-- its events are fenced (outcome 2).
--
-- Called by: store/journal/endings.py
create function append_endings(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_kind smallint[], p_key text[], p_recipient text[],
    p_payload bytea[], p_contact bytea[], p_number integer[], p_aside boolean[],
    p_send_slot smallint[], p_send_mark bigint[], p_send_ranges text[],
    p_event_slot smallint[], p_event_kind smallint[], p_event_mark bigint[], p_event_ranges text[],
    p_took_slot smallint[], p_took_seq bigint[], p_took_id bytea[], p_took_attempt smallint[],
    p_took_wamid text[], p_took_wa_id text[], p_took_user_id text[], p_took_held boolean[],
    p_took_number integer[], p_rare jsonb)
returns table (ordinal integer, outcome smallint) language plpgsql volatile
security definer set search_path from current as $$
begin
    perform record_progress(p_incarnation, p_slots, p_epochs,
                            p_send_slot, p_send_mark, p_send_ranges,
                            p_event_slot, p_event_kind, p_event_mark, p_event_ranges,
                            p_took_slot, p_took_seq, p_took_id, p_took_attempt, p_took_wamid,
                            p_took_wa_id, p_took_user_id, p_took_held, p_took_number, p_rare);
    return query
        select * from append_events(p_incarnation, p_slots, p_epochs, p_slot, p_seq, p_kind, p_key,
                                    p_recipient, p_payload, p_contact, p_number, p_aside);
end $$;
