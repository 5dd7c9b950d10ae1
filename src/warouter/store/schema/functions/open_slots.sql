-- The first act of an epoch: one synchronous write under it (so the takeover is on disk before
-- anything is sent), and where the journals of each held slot stand: mark and settled ranges of
-- each cursor, the next seq of each journal, and as JSON the consumers that are aside. The next seq
-- lies beyond all by which these know their rows, also where that was never committed.
--
-- Called by: store/journal/slots.py
create function open_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns table (slot smallint, send_mark bigint, send_ranges bigint[], next_seq bigint,
               status_mark bigint, status_ranges bigint[], next_status_seq bigint,
               inbound_mark bigint, inbound_ranges bigint[], next_inbound_seq bigint,
               aside jsonb)
language plpgsql volatile
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    update send_cursor c set mark = c.mark where c.slot = any (held);
    return query
        select s.slot, s.mark, s.ranges,
               1 + greatest(s.mark, (select max(r) from unnest(s.ranges) r),
                            (select max(m.seq) from message m where m.slot = s.slot),
                            (select max(greatest(a.since, a.upto)) from aside a
                              where a.slot = s.slot and a.log = 0)),
               e0.mark, e0.ranges, next_event_seq(s.slot, 0::smallint),
               e1.mark, e1.ranges, next_event_seq(s.slot, 1::smallint),
               (select coalesce(jsonb_agg(to_jsonb(a) - '{slot,at}'::text[]
                                          order by a.log, a.consumer), '[]')
                  from aside a where a.slot = s.slot)
          from send_cursor s
          join event_cursor e0 on e0.slot = s.slot and e0.kind = 0
          join event_cursor e1 on e1.slot = s.slot and e1.kind = 1
         where s.slot = any (held);
end $$;
