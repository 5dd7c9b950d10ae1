-- True if something still needs this event of the journal, so that retention leaves it alone: it is
-- parked. Whatever comes to point at an event is added here and nowhere else. A dead letter points to
-- none, as it is whole.
--
-- Called by: prune
create function event_pointed_at(p_slot smallint, p_kind smallint, p_seq bigint) returns boolean
language plpgsql volatile
set enable_seqscan = off
security definer set search_path from current as $$
begin
    return exists (select from parked_event p
                    where p.slot = p_slot and p.kind = p_kind and p.seq = p_seq);
end $$;
