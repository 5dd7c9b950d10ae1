-- runs with: 3
--
-- Dead letters are replayed. An operator only asks for it; the owner of their slot, fenced like all
-- that it writes, moves them to where its parked events lie. An owner of an older build leaves them
-- asked for, and its successor takes them up.

alter table dead_letter add column asked_at timestamptz;  -- null: nobody has asked for its replay
create index dead_letter_asked on dead_letter (slot) where asked_at is not null;
create index dead_letter_died on dead_letter (died_at);

-- Up to p_limit letters that were asked for, from these slots as far as they are held, due at once
-- and as if first tried p_tried ago. Rows: how many of which lane.
create function take_up_letters(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_tried interval, p_limit integer)
returns table (letter_slot smallint, letter_kind smallint, letter_recipient text, letters bigint)
language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    return query
        with asked as (
            delete from dead_letter d
             where (d.slot, d.kind, d.seq) in (
                 select e.slot, e.kind, e.seq from dead_letter e
                  where e.slot = any (held) and e.asked_at is not null
                  order by e.slot, e.kind, e.seq limit p_limit)
            returning d.*),
        moved as (
            insert into parked_event (slot, seq, kind, key, recipient, payload, contact,
                                      attempts, due_at, first_at, reason)
            select a.slot, a.seq, a.kind, a.key, a.recipient, a.payload, a.contact,
                   a.attempts, clock_timestamp(), clock_timestamp() - p_tried, 'replayed'
              from asked a
            on conflict on constraint parked_event_pkey do nothing
            returning parked_event.slot, parked_event.kind, parked_event.recipient)
        select m.slot, m.kind, m.recipient, count(*) from moved m
         group by m.slot, m.kind, m.recipient;
end $$;
