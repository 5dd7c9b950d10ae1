-- The part of record_rare for events: park_events, unpark_events and dead.
--
-- An event that is parked again keeps its row and its first_at. A dead letter is a copy of the journal's
-- row. At the end the first row of each lane that was touched gets its look_at.
--
-- The settings, the ranges and the ORDER BY ... LIMIT 1 make every plan go by the one index that
-- has the rows, however many rows there were at the last ANALYZE: plans that were made for small
-- tables took seconds on large ones, and the owner gave up its slot.
--
-- Called by: record_rare
create function record_parked_events(p_held smallint[], p_rare jsonb) returns void
language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off
security definer set search_path from current as $$
declare
    at constant timestamptz := clock_timestamp();
    gone constant jsonb := coalesce(p_rare -> 'unpark_events', '[]') || coalesce(p_rare -> 'dead', '[]');
    lane_slots smallint[];
    lane_kinds smallint[];
    lane_numbers integer[];
    lane_recipients text[];
begin
    update parked_event e
       set attempts = p.attempts, due_at = at + p.delay_ms * interval '1 ms', parked_at = at,
           reason = p.reason
      from jsonb_to_recordset(p_rare -> 'park_events')
           as p(slot smallint, kind smallint, seq bigint, attempts integer, delay_ms bigint,
                reason text),
           lateral (select f.ctid as place from parked_event f
                     where f.slot = p.slot and f.kind = p.kind and f.seq between p.seq and p.seq
                     order by f.seq limit 1) f
     where e.ctid = f.place and p.slot = any (p_held);
    insert into parked_event (slot, seq, kind, recipient, attempts, due_at, reason, parked_at, number)
    select e.slot, e.seq, e.kind, e.recipient,
           p.attempts, at + p.delay_ms * interval '1 ms', p.reason, at, e.number
      from jsonb_to_recordset(p_rare -> 'park_events')
           as p(slot smallint, kind smallint, seq bigint, attempts integer, delay_ms bigint,
                reason text)
      join event e on e.slot = p.slot and e.kind = p.kind and e.seq = p.seq
     where p.slot = any (p_held)
    on conflict (slot, kind, seq) do nothing;
    insert into dead_letter (slot, seq, kind, key, recipient, payload, contact, recorded_at,
                             attempts, reason, number)
    select e.slot, e.seq, e.kind, e.key, e.recipient, e.payload, e.contact, e.recorded_at,
           p.attempts, p.reason, e.number
      from jsonb_to_recordset(p_rare -> 'dead')
           as p(slot smallint, kind smallint, seq bigint, attempts integer, reason text)
      join event e on e.slot = p.slot and e.kind = p.kind and e.seq = p.seq
     where p.slot = any (p_held)
    on conflict (slot, kind, seq) do nothing;
    select array_agg(l.slot), array_agg(l.kind), array_agg(l.number), array_agg(l.recipient)
      into lane_slots, lane_kinds, lane_numbers, lane_recipients
      from (select distinct p.slot, p.kind, f.number, f.recipient
              from jsonb_to_recordset(coalesce(p_rare -> 'park_events', '[]') || gone)
                   as p(slot smallint, kind smallint, seq bigint),
           lateral (select f.ctid as place, f.number, f.recipient from parked_event f
                     where f.slot = p.slot and f.kind = p.kind and f.seq between p.seq and p.seq
                     order by f.seq limit 1) f
             where p.slot = any (p_held)) l;
    delete from parked_event e
     using jsonb_to_recordset(gone) as p(slot smallint, kind smallint, seq bigint),
           lateral (select f.ctid as place from parked_event f
                     where f.slot = p.slot and f.kind = p.kind and f.seq between p.seq and p.seq
                     order by f.seq limit 1) f
     where e.ctid = f.place and p.slot = any (p_held);
    perform lead_event_lanes(lane_slots, lane_kinds, lane_numbers, lane_recipients, at);
end $$;
