-- Does what append_messages does for a batch in which a message has a ttl or an idempotency key
-- (null means none). Returns one row for each message that was not inserted: outcome 1 is known, 2
-- is fenced, 4 means that the same request came before under the id `first`, 5 that the same key
-- came before with another request.
--
-- Keys are inserted first and in their order, so that owners who are given the same keys wait for
-- each other and never in a circle. Each key that exists already is locked until the commit, so
-- that retention cannot delete it in between. A key older than 24 hours starts anew. A message is
-- inserted only if the row of its key names its id, which also holds when it is offered again after
-- a commit whose outcome was unknown.
--
-- Called by: store/journal/messages.py
create function append_requests(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_id bytea[], p_recipient text[], p_kind smallint[],
    p_body bytea[], p_number integer[], p_aside boolean[], p_ttl integer[], p_key bytea[],
    p_request bytea[])
returns table (ordinal integer, outcome smallint, first bytea) language plpgsql volatile
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    insert into request_key as k (key, id, slot, request)
    select distinct on (f.key) f.key, f.id, f.slot, f.request
      from unnest(p_slot, p_id, p_key, p_request) with ordinality as f(slot, id, key, request, n)
     where f.key is not null and f.slot = any (held)
     order by f.key, f.n
    on conflict (key) do update
       set id = excluded.id, slot = excluded.slot, request = excluded.request, created_at = now()
     where k.created_at < now() - interval '24 hours';
    insert into message (slot, seq, id, recipient, kind, body, ttl, number, aside)
    select f.slot, f.seq, f.id, f.recipient, f.kind, f.body, f.ttl, coalesce(f.number, 1),
           coalesce(f.aside, false)
      from unnest(p_slot, p_seq, p_id, p_recipient, p_kind, p_body, p_number, p_aside, p_ttl, p_key)
           as f(slot, seq, id, recipient, kind, body, number, aside, ttl, key)
      left join request_key k on k.key = f.key
     where f.slot = any (held) and (f.key is null or k.id = f.id)
    on conflict (id) do nothing;
    return query
        select f.n::integer - 1,
               (case when not f.slot = any (held) then 2
                     when f.key is null or k.id = f.id then 1
                     when k.request = f.request then 4
                     else 5 end)::smallint,
               k.id
          from unnest(p_slot, p_seq, p_id, p_key, p_request) with ordinality
               as f(slot, seq, id, key, request, n)
          left join request_key k on k.key = f.key
         where not exists (select 1 from message m
                            where m.slot = f.slot and m.seq = f.seq and m.id = f.id
                              and f.slot = any (held));
end $$;
