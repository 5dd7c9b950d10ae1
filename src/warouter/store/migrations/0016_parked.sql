-- runs with: 11
--
-- What is parked is found by its time, in pages, however much there is, and ages cross a change of
-- the database's clock. Of each recipient that is parked the first row says when to look at it
-- (look_at; null in the others), and parked_at from when its wait counts: due_at - parked_at is how
-- long it is, which it never exceeds, wherever the clock goes. The functions that older builds call
-- keep both columns. Rows from before have -infinity, whether they are first or not, until
-- lead_parked() has taken them up. The indexes are made by the next file.

alter table parked_message add column parked_at timestamptz;
alter table parked_message add column look_at timestamptz default '-infinity';
alter table parked_event add column parked_at timestamptz;
alter table parked_event add column look_at timestamptz default '-infinity';

-- As before. ends_ms (may be missing) is in how many milliseconds a message is not to be sent any
-- more. The plans must not depend on how many rows there were at the last ANALYZE: on tables that had
-- grown since, or were restored, a few rows took seconds, and the owner gave up its slot. So the rows
-- of one recipient, and a row by its seq, are asked for by a range in the order of the one index that
-- has it.
create or replace function record_rare(p_held smallint[], p_rare jsonb) returns void
language plpgsql volatile as $$
begin
    if p_rare ?| array['park', 'unpark'] then
        perform record_parked_messages(p_held, p_rare);
    end if;
    if p_rare ?| array['park_events', 'unpark_events', 'dead'] then
        perform record_parked_events(p_held, p_rare);
    end if;
end $$;

create function record_parked_messages(p_held smallint[], p_rare jsonb) returns void
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

create function record_parked_events(p_held smallint[], p_rare jsonb) returns void
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

-- The first row of each of these lanes says when to look at it, also if it was parked at p_at.
create function lead_event_lanes(p_slots smallint[], p_kinds smallint[], p_recipients text[],
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

-- As before; the letters are looked for in the order of an index, slot by slot.
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

-- What was parked at a time that is still to come, since the clock went back, waits from now on for
-- as long as it was to wait then. Up to p_limit recipients a table; returns how many.
create function mend_parked(p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
                            p_limit integer)
returns bigint language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
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

-- Rows from before this file, up to p_limit a table: the first of each recipient says when to look
-- at it, no later than when it ends by its ttl; the others say nothing. None waits for more than a
-- day from now on. Returns how many there were in the table that had more.
create function lead_parked(p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
                            p_limit integer)
returns bigint language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    at constant timestamptz := clock_timestamp();
    messages bigint;
    events bigint;
begin
    update parked_message m
       set due_at = least(m.due_at, at + interval '1 day'), parked_at = coalesce(m.parked_at, at),
           look_at = case when m.seq = f.first then least(
               m.due_at, at + interval '1 day', m.accepted_at + m.ttl * interval '1 s') end
      from (select r.place, l.first
              from unnest(held) as h(slot),
                   lateral (select x.ctid as place, x.recipient from parked_message x
                             where x.slot = h.slot and x.look_at is not null
                               and x.look_at <= '-infinity'
                             order by x.slot, x.look_at limit p_limit) r,
                   lateral (select x.seq as first from parked_message x
                             where x.slot = h.slot
                               and (x.recipient, x.seq) between (r.recipient, 0)
                                                           and (r.recipient, 1::bigint << 62)
                             order by x.recipient, x.seq limit 1) l
             limit p_limit) f
     where m.ctid = f.place;
    get diagnostics messages = row_count;
    update parked_event e
       set due_at = least(e.due_at, at + interval '1 day'), parked_at = coalesce(e.parked_at, at),
           look_at = case when e.seq = f.first then least(e.due_at, at + interval '1 day') end
      from (select r.place, l.first
              from unnest(held) as h(slot), generate_series(0, 1) as k(kind),
                   lateral (select x.ctid as place, x.recipient from parked_event x
                             where x.slot = h.slot and x.kind = k.kind and x.look_at is not null
                               and x.look_at <= '-infinity'
                             order by x.slot, x.kind, x.look_at limit p_limit) r,
                   lateral (select x.seq as first from parked_event x
                             where x.slot = h.slot and x.kind = k.kind
                               and (x.recipient, x.seq) between (r.recipient, 0)
                                                           and (r.recipient, 1::bigint << 62)
                             order by x.recipient, x.seq limit 1) l
             limit p_limit) f
     where e.ctid = f.place;
    get diagnostics events = row_count;
    return greatest(messages, events);
end $$;
