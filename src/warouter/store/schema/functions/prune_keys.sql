-- Deletes up to p_limit request keys of these slots that are older than 24 hours; returns how many.
-- A key that is locked by an append is left for the next time.
--
-- Called by: store/journal/slots.py
create function prune_keys(p_slots smallint[], p_limit integer) returns bigint
language plpgsql volatile
set enable_seqscan = off set enable_sort = off
security definer set search_path from current as $$
declare
    keys bytea[];
begin
    select array_agg(f.key) into keys
      from (select k.key from unnest(p_slots) as s(slot),
                   lateral (select x.key from request_key x
                             where x.slot = s.slot and x.created_at < now() - interval '24 hours'
                             order by x.slot, x.created_at limit p_limit
                               for update skip locked) k
             limit p_limit) f;
    delete from request_key r where r.key = any (keys);
    return coalesce(cardinality(keys), 0);
end $$;
