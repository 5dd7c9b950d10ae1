-- True if something still needs the message with this id, so that retention leaves its row and the ids
-- that it was given alone: a request that may be out or may have been taken, a message that is held, one
-- that is parked, or a row of the inbox that speaks of it. Whatever comes to point at a message is added
-- here and nowhere else.
--
-- Called by: prune, prune_cloud
create function pointed_at(p_id bytea) returns boolean language plpgsql volatile
set enable_seqscan = off
security definer set search_path from current as $$
begin
    return exists (select from send_issue i where i.id = p_id)
        or exists (select from parked_message p where p.id = p_id)
        or exists (select from cloud_inbox c where c.id = p_id);
end $$;
