-- After commits of these slots may have been lost, and issue rows among them: whatever may have been out
-- counts as issued. That is the next request of each message with an issue row, unless it is held or
-- told as failed; and
-- each message without one that may have been at the head of its lane, of the first 2,000 that
-- are not settled, which is what an owner has in memory, the parked ones, and of each number that is
-- aside as many beyond its mark.
--
-- A held message stays held, and so does one that others have overtaken stay aside: neither is in its
-- lane any more, so the head is the next one. The attempt is above any that was made: no reference is used
-- twice (999 is the last).
--
-- Called by: open_issues
create function doubt_heads(p_slots smallint[]) returns void
language plpgsql volatile
security definer set search_path from current as $$
declare
    now timestamptz := clock_timestamp();
begin
    update send_issue s
       set attempt = greatest(s.attempt, least(s.attempt + 100, 900)),
           doubts = s.doubts + case when s.state in (3, 6) then 0 else 1 end,
           at = case when s.state in (3, 6) then s.at else now end,
           look_at = case when s.state in (3, 6) then s.look_at else now end,
           cause = case when s.state in (3, 6) then s.cause else 'timeline' end,
           state = case s.state when 3 then 3 when 5 then 5 when 6 then 6 when 7 then 5 else 2 end
      from (select i.slot, i.seq from send_issue i
             where i.slot = any (p_slots) order by i.slot, i.seq for update) i
     where s.slot = i.slot and s.seq = i.seq;
    insert into send_issue (slot, seq, id, recipient, attempt, doubts, state, cause, at, look_at,
                            number)
    select distinct on (h.slot, h.number, h.recipient)
           h.slot, h.seq, h.id, h.recipient, 100, 1, 2, 'timeline', now, now, h.number
      from unnest(p_slots) s(slot),
           lateral (
               (select m.slot, m.seq, m.id, m.recipient, m.number
                  from send_cursor c
                  join lateral (select * from message f
                                 where f.slot = c.slot and f.seq > c.mark
                                 order by f.seq limit 2000) m on true
                 where c.slot = s.slot and m.kind & 7 <> 1
                   and not exists (select from generate_subscripts(c.ranges, 1) i
                                    where i % 2 = 1
                                      and m.seq between c.ranges[i] and c.ranges[i + 1]))
               union all
               (select m.slot, m.seq, m.id, m.recipient, m.number
                  from aside a
                  join lateral (select * from message f
                                 where f.slot = a.slot and f.number = a.number and f.seq > a.mark
                                   and (f.seq <= a.since or f.aside)
                                 order by f.seq limit 2000) m on true
                 where a.slot = s.slot and a.log = 0 and m.kind & 7 <> 1
                   and is_aside(a.slot, 0::smallint, m.seq))
               union all
               (select m.slot, m.seq, m.id, m.recipient, m.number
                  from parked_message p join message m on m.slot = p.slot and m.seq = p.seq
                 where p.slot = s.slot and m.kind & 7 <> 1 and p.look_at is not null
                 order by p.look_at limit 5000)) h
     order by h.slot, h.number, h.recipient, h.seq
    on conflict (slot, seq) do nothing;
    update slot s set unsure = false where s.slot = any (p_slots) and s.unsure;
end $$;
