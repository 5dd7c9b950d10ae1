-- After commits of these slots may have been lost, and issue rows among them: whatever may have been out
-- counts as issued. That is the next request of each message with an issue row, unless it is held; and
-- each message without one that may have been at the head of its recipient's lane, of the first 2,000 that
-- are not settled, which is what an owner has in memory, and the parked ones.
--
-- A held message stays held, and so does one that others have overtaken stay aside: neither is in its
-- lane any more, so the head is the next one. The attempt is above any that was made: no reference is used
-- twice (999 is the last).
--
-- Called by: open_issues
create function doubt_heads(p_slots smallint[]) returns void
language plpgsql volatile
security definer set search_path from current as $$
begin
    update send_issue s
       set attempt = greatest(s.attempt, least(s.attempt + 100, 900)),
           doubts = s.doubts + case when s.state = 3 then 0 else 1 end,
           at = case when s.state = 3 then s.at else clock_timestamp() end,
           cause = case when s.state = 3 then s.cause else 'timeline' end,
           state = case when s.state = 3 then 3 else 2 end
      from (select i.slot, i.seq from send_issue i
             where i.slot = any (p_slots) order by i.slot, i.seq for update) i
     where s.slot = i.slot and s.seq = i.seq;
    insert into send_issue (slot, seq, id, recipient, attempt, doubts, state, cause)
    select distinct on (h.slot, h.recipient)
           h.slot, h.seq, h.id, h.recipient, 100, 1, 2, 'timeline'
      from unnest(p_slots) s(slot),
           lateral (
               (select m.slot, m.seq, m.id, m.recipient
                  from send_cursor c
                  join lateral (select * from message f
                                 where f.slot = c.slot and f.seq > c.mark
                                 order by f.seq limit 2000) m on true
                 where c.slot = s.slot and m.kind & 7 <> 1
                   and not exists (select from generate_subscripts(c.ranges, 1) i
                                    where i % 2 = 1
                                      and m.seq between c.ranges[i] and c.ranges[i + 1]))
               union all
               (select p.slot, p.seq, p.id, p.recipient from parked_message p
                 where p.slot = s.slot and p.kind & 7 <> 1 and p.look_at is not null
                 order by p.look_at limit 5000)) h
     order by h.slot, h.recipient, h.seq
    on conflict (slot, seq) do nothing;
    update slot s set unsure = false where s.slot = any (p_slots) and s.unsure;
end $$;
