-- Moves up to p_limit dead letters that an operator asked for back to the parked events, from the
-- held slots, due at once and as if first tried p_tried ago. Returns how many came to which lane.
--
-- The journal's row of a letter may be pruned: the letter is written back there first. If the same event
-- has come again since, under another seq, it is called back from there, and its letter just goes.
--
-- Called by: store/journal/parked.py
create function take_up_letters(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_tried interval, p_limit integer)
returns table (letter_slot smallint, letter_kind smallint, letter_number integer, letter_recipient text,
               letters bigint)
language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    at constant timestamptz := clock_timestamp();
    slots smallint[];
    kinds smallint[];
    seqs bigint[];
    lane_slots smallint[];
    lane_kinds smallint[];
    lane_numbers integer[];
    lane_recipients text[];
    lane_letters bigint[];
begin
    select array_agg(e.slot), array_agg(e.kind), array_agg(e.seq) into slots, kinds, seqs
      from (select x.slot, x.kind, x.seq
              from unnest(held) as h(slot),
                   lateral (select d.slot, d.kind, d.seq from dead_letter d
                             where d.slot = h.slot and d.asked_at is not null
                             order by d.slot, d.kind, d.seq limit p_limit) x
             limit p_limit) e;
    insert into event (slot, seq, kind, key, recipient, payload, contact, recorded_at, number)
    select d.slot, d.seq, d.kind, d.key, d.recipient, d.payload, d.contact, d.recorded_at, d.number
      from unnest(slots, kinds, seqs) as a(slot, kind, seq)
      join dead_letter d on d.slot = a.slot and d.kind = a.kind and d.seq = a.seq
    on conflict do nothing;
    with taken as (
        delete from dead_letter d
         using unnest(slots, kinds, seqs) as a(slot, kind, seq)
         where d.slot = a.slot and d.kind = a.kind and d.seq = a.seq
        returning d.slot, d.kind, d.seq, d.attempts),
    moved as (
        insert into parked_event (slot, seq, kind, recipient, attempts, due_at, first_at, reason,
                                  parked_at, number)
        select e.slot, e.seq, e.kind, e.recipient, t.attempts, at, at - p_tried, 'replayed', at,
               e.number
          from taken t
          join event e on e.slot = t.slot and e.kind = t.kind and e.seq = t.seq
        on conflict on constraint parked_event_pkey do nothing
        returning parked_event.slot, parked_event.kind, parked_event.number, parked_event.recipient),
    lanes as (
        select m.slot, m.kind, m.number, m.recipient, count(*) as letters from moved m
         group by m.slot, m.kind, m.number, m.recipient)
    select array_agg(l.slot), array_agg(l.kind), array_agg(l.number), array_agg(l.recipient),
           array_agg(l.letters)
      into lane_slots, lane_kinds, lane_numbers, lane_recipients, lane_letters from lanes l;
    perform lead_event_lanes(lane_slots, lane_kinds, lane_numbers, lane_recipients, at);
    return query
        select * from unnest(lane_slots, lane_kinds, lane_numbers, lane_recipients, lane_letters);
end $$;
