-- True if the row with this seq belongs aside to a consumer that has not settled it: the cursor of the
-- log passed over it, and it is still needed (see table aside, and flow/aside.py). p_log: 0 messages, 1
-- statuses, 2 inbound messages.
--
-- Called by: prune, doubt_heads, store/views/trace.py, store/views/messages/outgoing.py
create function is_aside(p_slot smallint, p_log smallint, p_seq bigint)
returns boolean language plpgsql volatile
set enable_seqscan = off
security definer set search_path from current as $$
begin
    return exists (
        select from aside a
         where a.slot = p_slot and a.log = p_log
           and p_seq > a.base and p_seq <= coalesce(a.upto, p_seq) and p_seq > a.mark
           and not exists (select from generate_series(1, cardinality(a.flow), 2) i
                            where p_seq between a.flow[i] and a.flow[i + 1])
           and not exists (select from generate_series(1, cardinality(a.ranges), 2) i
                            where p_seq between a.ranges[i] and a.ranges[i + 1])
           and a.number = case when p_log = 0
                 then (select m.number from message m where m.slot = p_slot and m.seq = p_seq)
                 else (select e.number from event e
                        where e.slot = p_slot and e.kind = p_log - 1 and e.seq = p_seq) end);
end $$;
