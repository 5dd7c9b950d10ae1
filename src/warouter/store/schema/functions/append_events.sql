-- Appends a batch of events (statuses and inbound messages) to the journals of their slots. Returns
-- one row for each event that was not inserted: outcome 1 is known (its key is in the journal
-- already, for its number), 2 is fenced (the caller does not own the slot under that epoch).
--
-- p_slots and p_epochs name what the caller owns, one entry a slot. A null p_kind means that every
-- kind is 0, a null p_contact that no event has one, a null p_number that every event is number 1's,
-- a null p_aside that none has the flag. An event that stands in the journal under the
-- same slot, kind, seq and key counts as inserted: the same batch may be sent again.
--
-- The first insert has no ON CONFLICT, which would cost a look into the index, a lock and a second
-- WAL record for each row. Only when a row is known is the batch taken back and each row asked
-- about.
--
-- Called by: store/journal/events.py, append_endings
create function append_events(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_kind smallint[], p_key text[], p_recipient text[],
    p_payload bytea[], p_contact bytea[],
    p_number integer[], p_aside boolean[])
returns table (ordinal integer, outcome smallint) language plpgsql volatile
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    if cardinality(held) = cardinality(p_slots) then
        begin
            insert into event (slot, seq, kind, key, recipient, payload, contact, number, aside)
            select slot, seq, coalesce(kind, 0::smallint), key, recipient, payload, contact,
                   coalesce(number, 1), coalesce(aside, false)
              from (select unnest(p_slot) as slot, unnest(p_seq) as seq, unnest(p_kind) as kind,
                           unnest(p_key) as key, unnest(p_recipient) as recipient,
                           unnest(p_payload) as payload, unnest(p_contact) as contact,
                           unnest(p_number) as number, unnest(p_aside) as aside) as f;
            return;
        exception when unique_violation then
            null;
        end;
    end if;
    insert into event (slot, seq, kind, key, recipient, payload, contact, number, aside)
    select f.slot, f.seq, coalesce(f.kind, 0::smallint), f.key, f.recipient, f.payload, f.contact,
           coalesce(f.number, 1), coalesce(f.aside, false)
      from unnest(p_slot, p_seq, p_kind, p_key, p_recipient, p_payload, p_contact, p_number, p_aside)
        as f(slot, seq, kind, key, recipient, payload, contact, number, aside)
     where f.slot = any (held)
    on conflict (key, number) do nothing;
    return query
        select f.n::integer - 1, (case when f.slot = any (held) then 1 else 2 end)::smallint
          from unnest(p_slot, p_seq, p_kind, p_key, p_number)
               with ordinality as f(slot, seq, kind, key, number, n)
         where not exists (select 1 from event e
                            where e.slot = f.slot and e.kind = coalesce(f.kind, 0::smallint)
                              and e.seq = f.seq and e.key = f.key
                              and e.number = coalesce(f.number, 1)
                              and f.slot = any (held));
end $$;
