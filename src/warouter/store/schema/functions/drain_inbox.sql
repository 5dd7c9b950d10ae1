-- Deletes rows of the inbox that are in the journals now, or never will be, for the held slots, and
-- keeps the ids that their references prove: that is the evidence which any later owner finds. Returns
-- the ids of messages of which another attempt was taken before: those were sent twice.
--
-- Called by: store/journal/inbox.py
create function drain_inbox(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_n bigint[],
    p_wamid text[], p_slot smallint[], p_id bytea[], p_attempt smallint[], p_wa_id text[],
    p_user_id text[])
returns table (id bytea, attempt smallint, wamid text) language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    return query
        with proven as (
            insert into upstream_id as u (wamid, slot, id, attempt, wa_id, user_id)
            select distinct on (f.wamid) f.wamid, f.slot, f.id, f.attempt, f.wa_id, f.user_id
              from unnest(p_wamid, p_slot, p_id, p_attempt, p_wa_id, p_user_id)
                   as f(wamid, slot, id, attempt, wa_id, user_id)
             where f.slot = any (held)
             order by f.wamid
            on conflict on constraint upstream_id_pkey do nothing
            returning u.id, u.attempt, u.wamid)
        select p.id, p.attempt, p.wamid from proven p
         where exists (select from upstream_id o where o.id = p.id and o.wamid <> p.wamid);
    delete from cloud_inbox i where i.n = any (p_n) and i.slot = any (held);
end $$;
