-- Returns the next seq of a slot's journal of events of one kind: 1 + the greatest of cursor mark,
-- settled ranges and journal, in which the row of whatever is parked stays, and of the seqs by which
-- consumers are aside: one that was given and never committed is not given again.
--
-- Called by: open_slots
create function next_event_seq(p_slot smallint, p_kind smallint) returns bigint
language sql volatile
security definer set search_path from current as $$
    select 1 + greatest(c.mark, (select max(r) from unnest(c.ranges) r),
                        (select max(e.seq) from event e where e.slot = p_slot and e.kind = p_kind),
                        (select max(greatest(a.since, a.upto)) from aside a
                          where a.slot = p_slot and a.log = p_kind + 1))
      from event_cursor c where c.slot = p_slot and c.kind = p_kind
$$;
