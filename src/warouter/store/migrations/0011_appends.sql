-- runs with: 3
--
-- Appends cost less. What is appended is nearly always new, and to ask about each row before it goes
-- in (`on conflict`) costs a look into the index, a lock and a second WAL record for each. So a batch
-- goes in as it is; only if a row of it is known, the batch is taken back and each row is asked about.
-- Names, arguments and answers stay; in place of p_kind null says that all are 0, in place of
-- p_contact that none has one.

-- As before; the locks are taken by one statement, still in ascending order, and not by one each.
create or replace function held_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language plpgsql volatile as $$
declare
    held smallint[];
begin
    perform pg_advisory_xact_lock_shared(7703, s)
       from (select distinct unnest(p_slots) as s order by 1) as ascending;
    select coalesce(array_agg(o.slot), '{}') into held
      from slot o
      join unnest(p_slots, p_epochs) as p(slot, epoch) on p.slot = o.slot and p.epoch = o.epoch
     where o.owner = p_incarnation;
    return held;
end $$;

create or replace function append_messages(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_id bytea[], p_recipient text[], p_kind smallint[],
    p_body bytea[])
returns table (ordinal integer, outcome smallint) language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    if cardinality(held) = cardinality(p_slots) then
        begin
            -- Not `from unnest(...)`, which would write all rows down once more before the first.
            insert into message (slot, seq, id, recipient, kind, body)
            select slot, seq, id, recipient, coalesce(kind, 0::smallint), body
              from (select unnest(p_slot) as slot, unnest(p_seq) as seq, unnest(p_id) as id,
                           unnest(p_recipient) as recipient, unnest(p_kind) as kind,
                           unnest(p_body) as body) as f;
            return;
        exception when unique_violation then
            null;
        end;
    end if;
    insert into message (slot, seq, id, recipient, kind, body)
    select f.slot, f.seq, f.id, f.recipient, coalesce(f.kind, 0::smallint), f.body
      from unnest(p_slot, p_seq, p_id, p_recipient, p_kind, p_body)
        as f(slot, seq, id, recipient, kind, body)
     where f.slot = any (held)
    on conflict (id) do nothing;
    return query
        select f.n::integer - 1, (case when f.slot = any (held) then 1 else 2 end)::smallint
          from unnest(p_slot, p_seq, p_id) with ordinality as f(slot, seq, id, n)
         where not exists (select 1 from message m
                            where m.slot = f.slot and m.seq = f.seq and m.id = f.id
                              and f.slot = any (held));
end $$;

create or replace function append_events(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_kind smallint[], p_key text[], p_recipient text[],
    p_payload bytea[], p_contact bytea[])
returns table (ordinal integer, outcome smallint) language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    if cardinality(held) = cardinality(p_slots) then
        begin
            insert into event (slot, seq, kind, key, recipient, payload, contact)
            select slot, seq, coalesce(kind, 0::smallint), key, recipient, payload, contact
              from (select unnest(p_slot) as slot, unnest(p_seq) as seq, unnest(p_kind) as kind,
                           unnest(p_key) as key, unnest(p_recipient) as recipient,
                           unnest(p_payload) as payload, unnest(p_contact) as contact) as f;
            return;
        exception when unique_violation then
            null;
        end;
    end if;
    insert into event (slot, seq, kind, key, recipient, payload, contact)
    select f.slot, f.seq, coalesce(f.kind, 0::smallint), f.key, f.recipient, f.payload, f.contact
      from unnest(p_slot, p_seq, p_kind, p_key, p_recipient, p_payload, p_contact)
        as f(slot, seq, kind, key, recipient, payload, contact)
     where f.slot = any (held)
    on conflict (key) do nothing;
    return query
        select f.n::integer - 1, (case when f.slot = any (held) then 1 else 2 end)::smallint
          from unnest(p_slot, p_seq, p_kind, p_key) with ordinality as f(slot, seq, kind, key, n)
         where not exists (select 1 from event e
                            where e.slot = f.slot and e.kind = coalesce(f.kind, 0::smallint)
                              and e.seq = f.seq and e.key = f.key
                              and f.slot = any (held));
end $$;
