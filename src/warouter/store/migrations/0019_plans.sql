-- runs with: 11
--
-- As before, by plans that do not depend on how many rows there were when somebody counted them
-- last: on tables that had grown since (or were restored), a few rows took seconds, and the owner
-- gave up. So rows of one recipient, and a row by its place, are asked for by a range in the order of
-- their index, which no other index has.

create or replace function prune(p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
                                 p_age interval, p_limit integer)
returns bigint language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    cutoff timestamptz := clock_timestamp() - greatest(p_age, interval '10 minutes');
    s smallint;
    settled bigint;
    seqs bigint[];
    total bigint := 0;
begin
    foreach s in array held loop
        select c.mark into settled from send_cursor c where c.slot = s;
        select array_agg(f.seq) into seqs
          from (select x.seq, x.accepted_at from message x
                 where x.slot = s and x.seq <= settled order by x.slot, x.seq limit p_limit) f
         where f.accepted_at < cutoff;
        delete from message m where m.slot = s and m.seq = any (seqs);
        total := total + coalesce(cardinality(seqs), 0);
        for k in 0..1 loop
            select c.mark into settled from event_cursor c where c.slot = s and c.kind = k;
            select array_agg(f.seq) into seqs
              from (select x.seq, x.recorded_at from event x
                     where x.slot = s and x.kind = k and x.seq <= settled
                     order by x.slot, x.kind, x.seq limit p_limit) f
             where f.recorded_at < cutoff;
            delete from event e where e.slot = s and e.kind = k and e.seq = any (seqs);
            total := total + coalesce(cardinality(seqs), 0);
        end loop;
    end loop;
    return total;
end $$;

create or replace function record_parked_messages(p_held smallint[], p_rare jsonb) returns void
language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off as $$
declare
    at constant timestamptz := clock_timestamp();
    lane_slots smallint[];
    lane_recipients text[];
begin
    update parked_message m
       set attempts = p.attempts, due_at = at + p.delay_ms * interval '1 ms', parked_at = at,
           reason = p.reason
      from jsonb_to_recordset(p_rare -> 'park')
           as p(slot smallint, seq bigint, attempts integer, delay_ms bigint, reason text),
           lateral (select f.ctid as place from parked_message f
                     where f.slot = p.slot and f.seq between p.seq and p.seq
                     order by f.seq limit 1) f
     where m.ctid = f.place and p.slot = any (p_held);
    insert into parked_message (slot, seq, id, recipient, kind, body, attempts, due_at, reason,
                                ttl, accepted_at, parked_at, look_at)
    select m.slot, m.seq, m.id, m.recipient, m.kind, m.body,
           p.attempts, at + p.delay_ms * interval '1 ms', p.reason, m.ttl, m.accepted_at, at, null
      from jsonb_to_recordset(p_rare -> 'park')
           as p(slot smallint, seq bigint, attempts integer, delay_ms bigint, reason text)
      join message m on m.slot = p.slot and m.seq = p.seq
     where p.slot = any (p_held)
    on conflict (slot, seq) do nothing;
    select array_agg(l.slot), array_agg(l.recipient) into lane_slots, lane_recipients
      from (select distinct p.slot, f.recipient
              from jsonb_to_recordset(coalesce(p_rare -> 'park', '[]') || coalesce(p_rare -> 'unpark', '[]'))
                   as p(slot smallint, seq bigint),
           lateral (select f.ctid as place, f.recipient from parked_message f
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
      from unnest(lane_slots, lane_recipients) as l(slot, recipient),
           lateral (select f.ctid as place from parked_message f
                     where f.slot = l.slot
                       and (f.recipient, f.seq) between (l.recipient, 0)
                                                   and (l.recipient, 1::bigint << 62)
                     order by f.recipient, f.seq limit 1) f
     where h.ctid = f.place
       and (h.look_at is null or h.look_at = '-infinity' or h.parked_at = at);
end $$;

create or replace function lead_event_lanes(p_slots smallint[], p_kinds smallint[], p_recipients text[],
                                 p_at timestamptz)
returns void language sql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off as $$
    update parked_event h set look_at = h.due_at
      from unnest(p_slots, p_kinds, p_recipients) as l(slot, kind, recipient),
           lateral (select f.ctid as place from parked_event f
                     where f.slot = l.slot and f.kind = l.kind
                       and (f.recipient, f.seq) between (l.recipient, 0)
                                                   and (l.recipient, 1::bigint << 62)
                     order by f.recipient, f.seq limit 1) f
     where h.ctid = f.place
       and (h.look_at is null or h.look_at = '-infinity' or h.parked_at = p_at);
$$;

create or replace function take_up_letters(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_tried interval, p_limit integer)
returns table (letter_slot smallint, letter_kind smallint, letter_recipient text, letters bigint)
language plpgsql volatile
set enable_seqscan = off set enable_sort = off as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    at constant timestamptz := clock_timestamp();
    lane_slots smallint[];
    lane_kinds smallint[];
    lane_recipients text[];
    lane_letters bigint[];
begin
    with asked as (
        delete from dead_letter d
         where (d.slot, d.kind, d.seq) in (
             select e.slot, e.kind, e.seq
               from unnest(held) as h(slot),
                    lateral (select x.slot, x.kind, x.seq from dead_letter x
                              where x.slot = h.slot and x.asked_at is not null
                              order by x.slot, x.kind, x.seq limit p_limit) e
              limit p_limit)
        returning d.*),
    moved as (
        insert into parked_event (slot, seq, kind, key, recipient, payload, contact,
                                  attempts, due_at, first_at, reason, parked_at, look_at)
        select a.slot, a.seq, a.kind, a.key, a.recipient, a.payload, a.contact,
               a.attempts, at, at - p_tried, 'replayed', at, null
          from asked a
        on conflict on constraint parked_event_pkey do nothing
        returning parked_event.slot, parked_event.kind, parked_event.recipient),
    lanes as (
        select m.slot, m.kind, m.recipient, count(*) as letters from moved m
         group by m.slot, m.kind, m.recipient)
    select array_agg(l.slot), array_agg(l.kind), array_agg(l.recipient), array_agg(l.letters)
      into lane_slots, lane_kinds, lane_recipients, lane_letters from lanes l;
    perform lead_event_lanes(lane_slots, lane_kinds, lane_recipients, at);
    return query select * from unnest(lane_slots, lane_kinds, lane_recipients, lane_letters);
end $$;

create or replace function record_parked_events(p_held smallint[], p_rare jsonb) returns void
language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off as $$
declare
    at constant timestamptz := clock_timestamp();
    gone constant jsonb := coalesce(p_rare -> 'unpark_events', '[]') || coalesce(p_rare -> 'dead', '[]');
    lane_slots smallint[];
    lane_kinds smallint[];
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
    insert into parked_event (slot, seq, kind, key, recipient, payload, contact,
                              attempts, due_at, reason, parked_at, look_at)
    select e.slot, e.seq, e.kind, e.key, e.recipient, e.payload, e.contact,
           p.attempts, at + p.delay_ms * interval '1 ms', p.reason, at, null
      from jsonb_to_recordset(p_rare -> 'park_events')
           as p(slot smallint, kind smallint, seq bigint, attempts integer, delay_ms bigint,
                reason text)
      join event e on e.slot = p.slot and e.kind = p.kind and e.seq = p.seq
     where p.slot = any (p_held)
    on conflict (slot, kind, seq) do nothing;
    -- From the parked table if it was parked, else (a receiver down for days) from the journal.
    insert into dead_letter (slot, seq, kind, key, recipient, payload, contact, attempts, reason)
    select p.slot, p.seq, p.kind, e.key, e.recipient, e.payload, e.contact, p.attempts, p.reason
      from jsonb_to_recordset(p_rare -> 'dead')
           as p(slot smallint, kind smallint, seq bigint, attempts integer, reason text),
           lateral ((select v.key, v.recipient, v.payload, v.contact from parked_event v
                      where v.slot = p.slot and v.kind = p.kind and v.seq between p.seq and p.seq
                      order by v.seq limit 1)
                    union all
                    (select v.key, v.recipient, v.payload, v.contact from event v
                      where v.slot = p.slot and v.kind = p.kind and v.seq between p.seq and p.seq
                      order by v.seq limit 1)
                    limit 1) e
     where p.slot = any (p_held)
    on conflict (slot, kind, seq) do nothing;
    select array_agg(l.slot), array_agg(l.kind), array_agg(l.recipient)
      into lane_slots, lane_kinds, lane_recipients
      from (select distinct p.slot, p.kind, f.recipient
              from jsonb_to_recordset(coalesce(p_rare -> 'park_events', '[]') || gone)
                   as p(slot smallint, kind smallint, seq bigint),
           lateral (select f.ctid as place, f.recipient from parked_event f
                     where f.slot = p.slot and f.kind = p.kind and f.seq between p.seq and p.seq
                     order by f.seq limit 1) f
             where p.slot = any (p_held)) l;
    delete from parked_event e
     using jsonb_to_recordset(gone) as p(slot smallint, kind smallint, seq bigint),
           lateral (select f.ctid as place from parked_event f
                     where f.slot = p.slot and f.kind = p.kind and f.seq between p.seq and p.seq
                     order by f.seq limit 1) f
     where e.ctid = f.place and p.slot = any (p_held);
    perform lead_event_lanes(lane_slots, lane_kinds, lane_recipients, at);
end $$;

create or replace function prune_keys(p_slots smallint[], p_limit integer) returns bigint
language plpgsql volatile
set enable_seqscan = off set enable_sort = off as $$
declare
    keys bytea[];
begin
    select array_agg(f.key) into keys
      from (select k.key from unnest(p_slots) as s(slot),
                   lateral (select x.key from request_key x
                             where x.slot = s.slot and x.created_at < now() - interval '24 hours'
                             order by x.slot, x.created_at limit p_limit
                               for update skip locked) k
             limit p_limit) f;
    delete from request_key r where r.key = any (keys);
    return coalesce(cardinality(keys), 0);
end $$;
