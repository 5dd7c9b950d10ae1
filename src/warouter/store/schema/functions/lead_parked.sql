-- Takes up parked rows that an older build wrote (look_at is -infinity), up to p_limit a table. The
-- first row of each recipient gets the time to look at it, which is not after the end of its ttl;
-- the others get null. Nothing waits for more than a day from now on. Returns how many rows there
-- were in the table that had more of them.
--
-- Called by: store/journal/parked.py
create function lead_parked(p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
                            p_limit integer)
returns bigint language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
security definer set search_path from current as $$
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
