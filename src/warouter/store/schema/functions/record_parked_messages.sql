-- The part of record_rare for messages: park, unpark and reopen.
--
-- A message that is parked again keeps its row. At the end the first row of each lane that was
-- touched gets its look_at: when it is due or when its ttl ends (ends_ms), whichever comes first.
--
-- The settings, the ranges and the ORDER BY ... LIMIT 1 make every plan go by the one index that
-- has the rows, however many rows there were at the last ANALYZE: plans that were made for small
-- tables took seconds on large ones, and the owner gave up its slot.
--
-- Called by: record_rare
create function record_parked_messages(p_held smallint[], p_rare jsonb) returns void
language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off
security definer set search_path from current as $$
declare
    at constant timestamptz := clock_timestamp();
    lane_slots smallint[];
    lane_numbers integer[];
    lane_recipients text[];
begin
    update parked_message m
       set attempts = p.attempts, due_at = coalesce(at + p.delay_ms * interval '1 ms', 'infinity'), parked_at = at,
           reason = p.reason
      from jsonb_to_recordset(p_rare -> 'park')
           as p(slot smallint, seq bigint, attempts integer, delay_ms bigint, reason text),
           lateral (select f.ctid as place from parked_message f
                     where f.slot = p.slot and f.seq between p.seq and p.seq
                     order by f.seq limit 1) f
     where m.ctid = f.place and p.slot = any (p_held);
    insert into parked_message (slot, seq, id, recipient, has_ttl, attempts, due_at, reason, parked_at,
                                number)
    select m.slot, m.seq, m.id, m.recipient, m.ttl is not null, p.attempts,
           coalesce(at + p.delay_ms * interval '1 ms', 'infinity'), p.reason, at, m.number
      from jsonb_to_recordset(p_rare -> 'park')
           as p(slot smallint, seq bigint, attempts integer, delay_ms bigint, reason text)
      join message m on m.slot = p.slot and m.seq = p.seq
     where p.slot = any (p_held)
    on conflict (slot, seq) do nothing;
    select array_agg(l.slot), array_agg(l.number), array_agg(l.recipient)
      into lane_slots, lane_numbers, lane_recipients
      from (select distinct p.slot, f.number, f.recipient
              from jsonb_to_recordset(coalesce(p_rare -> 'park', '[]') || coalesce(p_rare -> 'unpark', '[]'))
                   as p(slot smallint, seq bigint),
           lateral (select f.ctid as place, f.number, f.recipient from parked_message f
                     where f.slot = p.slot and f.seq between p.seq and p.seq
                     order by f.seq limit 1) f
             where p.slot = any (p_held)) l;
    delete from parked_message m
     using jsonb_to_recordset(p_rare -> 'unpark') as p(slot smallint, seq bigint),
           lateral (select f.ctid as place from parked_message f
                     where f.slot = p.slot and f.seq between p.seq and p.seq
                     order by f.seq limit 1) f
     where m.ctid = f.place and p.slot = any (p_held);
    update parked_message h
       set look_at = least(h.due_at, at + (
               select p.ends_ms from jsonb_to_recordset(p_rare -> 'park')
                      as p(slot smallint, seq bigint, ends_ms bigint)
                where p.slot = h.slot and p.seq = h.seq limit 1) * interval '1 ms')
      from unnest(lane_slots, lane_numbers, lane_recipients) as l(slot, number, recipient),
           lateral (select f.ctid as place from parked_message f
                     where f.slot = l.slot
                       and (f.number, f.recipient, f.seq)
                           between (l.number, l.recipient, 0)
                               and (l.number, l.recipient, 1::bigint << 62)
                     order by f.number, f.recipient, f.seq limit 1) f
     where h.ctid = f.place
       and (h.look_at is null or h.parked_at = at);
    update parked_message h set due_at = at, look_at = at
      from jsonb_to_recordset(p_rare -> 'reopen') as r(slot smallint, number integer, recipient text),
           lateral (select f.ctid as place from parked_message f
                     where f.slot = r.slot
                       and (f.number, f.recipient, f.seq)
                           between (r.number, r.recipient, 0)
                               and (r.number, r.recipient, 1::bigint << 62)
                     order by f.number, f.recipient, f.seq limit 1) f
     where h.ctid = f.place and r.slot = any (p_held);
end $$;
