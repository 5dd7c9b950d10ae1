-- Appends a batch of messages to the journals of their slots. Returns one row for each message that
-- was not inserted: outcome 1 is known (its id is in the journal already), 2 is fenced (the caller
-- does not own the slot under that epoch). No rows means that all were inserted.
--
-- p_slots and p_epochs name what the caller owns, one entry a slot. A null p_kind means that every
-- kind is 0, a null p_number that every message is number 1's, a null p_aside that none has the flag. A
-- message that stands in the journal under the same slot, seq and id counts as inserted: the same batch
-- may be sent again.
--
-- The first insert has no ON CONFLICT, which would cost a look into the index, a lock and a second
-- WAL record for each row. Only when a row is known is the batch taken back and each row asked
-- about.
--
-- Called by: store/journal/messages.py, append_issued
create function append_messages(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_id bytea[], p_recipient text[], p_kind smallint[],
    p_body bytea[], p_number integer[], p_aside boolean[])
returns table (ordinal integer, outcome smallint) language plpgsql volatile
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    if cardinality(held) = cardinality(p_slots) then
        begin
            -- Not `from unnest(...)`, which would write all rows down once more before the first.
            insert into message (slot, seq, id, recipient, kind, body, number, aside)
            select slot, seq, id, recipient, coalesce(kind, 0::smallint), body, coalesce(number, 1),
                   coalesce(aside, false)
              from (select unnest(p_slot) as slot, unnest(p_seq) as seq, unnest(p_id) as id,
                           unnest(p_recipient) as recipient, unnest(p_kind) as kind,
                           unnest(p_body) as body, unnest(p_number) as number,
                           unnest(p_aside) as aside) as f;
            return;
        exception when unique_violation then
            null;
        end;
    end if;
    insert into message (slot, seq, id, recipient, kind, body, number, aside)
    select f.slot, f.seq, f.id, f.recipient, coalesce(f.kind, 0::smallint), f.body,
           coalesce(f.number, 1), coalesce(f.aside, false)
      from unnest(p_slot, p_seq, p_id, p_recipient, p_kind, p_body, p_number, p_aside)
        as f(slot, seq, id, recipient, kind, body, number, aside)
     where f.slot = any (held)
    on conflict (id) do nothing;
    return query
        select f.n::integer - 1, (case when f.slot = any (held) then 1 else 2 end)::smallint
          from unnest(p_slot, p_seq, p_id) with ordinality as f(slot, seq, id, n)
         where not exists (select 1 from message m
                            where m.slot = f.slot and m.seq = f.seq and m.id = f.id
                              and f.slot = any (held));
end $$;
