-- After the database's clock was set back: what was parked at a time that is still to come waits
-- from now on for as long as it was to wait then. Up to p_limit recipients a table; returns how
-- many.
--
-- Called by: store/journal/parked.py
create function mend_parked(p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
                            p_limit integer)
returns bigint language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    at constant timestamptz := clock_timestamp();
    mended bigint;
    total bigint;
begin
    update parked_message m
       set due_at = m.due_at - (m.parked_at - at), look_at = m.look_at - (m.parked_at - at),
           parked_at = at
      from (select a.slot, a.seq from unnest(held) as h(slot),
                   lateral (select x.slot, x.seq from parked_message x
                             where x.slot = h.slot and x.look_at is not null and x.parked_at > at
                             order by x.parked_at limit p_limit) a limit p_limit) f
     where m.slot = f.slot and m.seq = f.seq;
    get diagnostics total = row_count;
    update parked_event e
       set due_at = e.due_at - (e.parked_at - at), look_at = e.look_at - (e.parked_at - at),
           parked_at = at
      from (select a.slot, a.kind, a.seq from unnest(held) as h(slot),
                   lateral (select x.slot, x.kind, x.seq from parked_event x
                             where x.slot = h.slot and x.look_at is not null and x.parked_at > at
                             order by x.parked_at limit p_limit) a limit p_limit) f
     where e.slot = f.slot and e.kind = f.kind and e.seq = f.seq;
    get diagnostics mended = row_count;
    return total + mended;
end $$;
