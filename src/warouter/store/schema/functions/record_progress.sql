-- Records how far an owner's slots are settled; returns the slots that were held. Cursors come as
-- columns (slot, kind of event, mark, ranges), and so does what Meta took (record_taken), with a null
-- p_took_number if all of that is number 1's; p_rare (may
-- be null) is JSON with what does not happen for each message, as arrays of objects:
--
--   park           {slot, seq, attempts, delay_ms, reason, ends_ms}  a message that must wait long;
--                  ends_ms (may be missing): it is not to be sent any more in so many milliseconds;
--                  delay_ms null: it is due once its lane is reopened
--   unpark         {slot, seq}                                        it is settled now
--   reopen         {slot, number, recipient}                          the first one of it is due now
--   park_events    {slot, kind, seq, attempts, delay_ms, reason}      an event that must wait long
--   unpark_events  {slot, kind, seq}                                  it is settled now
--   dead           {slot, kind, seq, attempts, reason}                an event to the dead letters
--   issues, unissue                                                   see record_issues
--   aside, unaside                                                    see record_aside
--
-- What is said of a slot that is not held is left out.
--
-- Called by: store/journal/progress.py, append_endings
create function record_progress(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_send_slot smallint[], p_send_mark bigint[], p_send_ranges text[],
    p_event_slot smallint[], p_event_kind smallint[], p_event_mark bigint[], p_event_ranges text[],
    p_took_slot smallint[], p_took_seq bigint[], p_took_id bytea[], p_took_attempt smallint[],
    p_took_wamid text[], p_took_wa_id text[], p_took_user_id text[], p_took_held boolean[],
    p_took_number integer[], p_rare jsonb)
returns smallint[] language plpgsql volatile
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    if p_rare ?| array['aside', 'unaside'] then
        perform record_aside(held, p_rare);
    end if;
    update send_cursor c set mark = p.mark, ranges = p.ranges::bigint[]
      from unnest(p_send_slot, p_send_mark, p_send_ranges) as p(slot, mark, ranges)
     where c.slot = p.slot and p.slot = any (held);
    update event_cursor c set mark = p.mark, ranges = p.ranges::bigint[]
      from unnest(p_event_slot, p_event_kind, p_event_mark, p_event_ranges)
           as p(slot, kind, mark, ranges)
     where c.slot = p.slot and c.kind = p.kind and p.slot = any (held);
    if p_rare is not null then
        perform record_rare(held, p_rare);
    end if;
    if cardinality(p_took_slot) > 0 then
        perform record_taken(held, p_took_slot, p_took_seq, p_took_id, p_took_attempt, p_took_wamid,
                             p_took_wa_id, p_took_user_id, p_took_held, p_took_number);
    end if;
    return held;
end $$;
