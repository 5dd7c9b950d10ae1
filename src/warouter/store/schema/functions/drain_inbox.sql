-- Deletes rows of the inbox that are in the journals now, or never will be, for the held slots, and
-- keeps what they prove: the ids of attempts that were taken, and which of them have failed. That is
-- the evidence which any later owner finds.
--
-- Returns the attempts of these messages that were taken beside another one, as this incarnation was
-- the first to be told; again each time, as it may not have heard the last answer. Which one is beside
-- the other is said by the order in which they were recorded, so that all but one of a message count.
-- A null p_number means that all are of number 1.
--
-- Called by: store/journal/inbox.py
create function drain_inbox(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_n bigint[],
    p_wamid text[], p_slot smallint[], p_id bytea[], p_attempt smallint[], p_wa_id text[],
    p_user_id text[], p_held boolean[], p_failed boolean[], p_number integer[])
returns table (id bytea, attempt smallint, wamid text, number integer) language plpgsql volatile
security definer set search_path from current as $$
declare
    mine smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    insert into upstream_id (wamid, slot, id, attempt, wa_id, user_id, held, number)
    select distinct on (f.id, f.wamid)
           f.wamid, f.slot, f.id, f.attempt, f.wa_id, f.user_id, f.held, coalesce(f.number, 1)
      from unnest(p_wamid, p_slot, p_id, p_attempt, p_wa_id, p_user_id, p_held, p_number)
           as f(wamid, slot, id, attempt, wa_id, user_id, held, number)
     where f.slot = any (mine)
     order by f.id, f.wamid
    on conflict do nothing;
    if true = any (p_failed) then
        update upstream_id u set failed = true
          from unnest(p_id, p_wamid, p_failed) as f(id, wamid, failed)
         where f.failed and u.id = f.id and u.wamid = f.wamid and u.slot = any (mine);
    end if;
    update upstream_id u set twice = p_incarnation
      from (select distinct unnest(p_id) as id) f
     where u.id = f.id and u.slot = any (mine) and u.twice is null
       and exists (select from upstream_id o
                    where o.id = u.id and (o.at, o.wamid collate "C") < (u.at, u.wamid));
    delete from cloud_inbox i where i.n = any (p_n) and i.slot = any (mine);
    return query
        select u.id, u.attempt, u.wamid, u.number from upstream_id u
         where u.id = any (p_id) and u.twice = p_incarnation;
end $$;
