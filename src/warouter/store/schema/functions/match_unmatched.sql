-- Statuses without a reference whose wamid turned out to be one of ours, for the held slots: into the
-- inbox. Returns the failures of the last p_seconds that are still nobody's, newest first: one of
-- them may be of a message in doubt.
--
-- Called by: store/journal/inbox.py
create function match_unmatched(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_seconds float8, p_limit integer)
returns table (key text, wamid text, recipient text, payload bytea)
language plpgsql volatile
security definer set search_path from current as $$
#variable_conflict use_column
declare
    mine smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    with known as (
        delete from cloud_unmatched m
         using (select f.key, u.slot, u.id, u.attempt
                  from (select c.key, c.wamid from cloud_unmatched c
                         where c.at > clock_timestamp() - interval '1 hour'
                         order by c.at desc limit p_limit) f
                  join upstream_id u on u.wamid = f.wamid
                 where u.slot = any (mine)) k
         where m.key = k.key
        returning k.slot, m.key, k.id, k.attempt, m.wamid, m.recipient, m.payload)
    insert into cloud_inbox (slot, kind, key, id, attempt, wamid, recipient, payload)
    select k.slot, 0, k.key, k.id, k.attempt, k.wamid, k.recipient, k.payload
      from known k order by k.key collate "C"
    on conflict (key) do nothing;
    return query
        select m.key, m.wamid, m.recipient, m.payload from cloud_unmatched m
         where m.at > clock_timestamp() - p_seconds * interval '1 second'
           and m.key like '%:failed:%'
         order by m.at desc limit p_limit;
end $$;
