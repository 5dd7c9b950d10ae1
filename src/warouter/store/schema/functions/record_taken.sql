-- Keeps the ids of requests that were taken, in the slots of p_held: their messages are settled by it if
-- a seq is given, and their issue rows go.
--
-- Ids are written in their order, as the drain writes some of the same.
--
-- Called by: record_progress
create function record_taken(
    p_held smallint[],
    p_slot smallint[], p_seq bigint[], p_id bytea[], p_attempt smallint[], p_wamid text[],
    p_wa_id text[], p_user_id text[], p_took_held boolean[], p_number integer[])
returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    delete from send_issue s
     using unnest(p_slot, p_seq) as t(slot, seq)
     where s.slot = t.slot and s.seq = t.seq and t.slot = any (p_held);
    insert into upstream_id (wamid, slot, id, attempt, wa_id, user_id, held, number)
    select t.wamid, t.slot, t.id, t.attempt, t.wa_id, t.user_id, t.held, coalesce(t.number, 1)
      from unnest(p_wamid, p_slot, p_id, p_attempt, p_wa_id, p_user_id, p_took_held, p_number)
           as t(wamid, slot, id, attempt, wa_id, user_id, held, number)
     where t.slot = any (p_held)
     order by t.id, t.wamid
    on conflict do nothing;
end $$;
