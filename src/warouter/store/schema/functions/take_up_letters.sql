-- Moves up to p_limit dead letters that an operator asked for back to the parked events, from the
-- held slots, due at once and as if first tried p_tried ago. Returns how many came to which lane.
--
-- Called by: store/journal/parked.py
create function take_up_letters(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_tried interval, p_limit integer)
returns table (letter_slot smallint, letter_kind smallint, letter_recipient text, letters bigint)
language plpgsql volatile
set enable_seqscan = off set enable_sort = off
security definer set search_path from current as $$
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
