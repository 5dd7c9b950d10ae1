-- Sets look_at of the first parked row of each of these lanes (slot, kind, number, recipient). A row that
-- has a look_at already keeps it, unless it was parked at p_at, which is now.
--
-- Called by: record_parked_events, take_up_letters
create function lead_event_lanes(p_slots smallint[], p_kinds smallint[], p_numbers integer[],
                                 p_recipients text[],
                                 p_at timestamptz)
returns void language sql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off
security definer set search_path from current as $$
    update parked_event h set look_at = h.due_at
      from unnest(p_slots, p_kinds, p_numbers, p_recipients) as l(slot, kind, number, recipient),
           lateral (select f.ctid as place from parked_event f
                     where f.slot = l.slot and f.kind = l.kind
                       and (f.number, f.recipient, f.seq)
                           between (l.number, l.recipient, 0)
                               and (l.number, l.recipient, 1::bigint << 62)
                     order by f.number, f.recipient, f.seq limit 1) f
     where h.ctid = f.place
       and (h.look_at is null or h.parked_at = p_at);
$$;
