-- Keeps those who record ids of the Cloud API's apart from those who look for one in vain, until the
-- transaction ends: an id and a status of it that come at the same moment find each other, whichever
-- commits first. Ids share 16 locks (class 7708), taken in ascending order. Who records takes them
-- shared, before it looks for statuses; who has statuses of unknown ids alone, before it looks for ids.
-- The look is a later statement, whose snapshot is not older than the locks.
--
-- Called by: match_known, receive_cloud
create function hold_wamids(p_wamid text[], p_shared boolean) returns void
language plpgsql volatile
security definer set search_path from current as $$
begin
    if p_shared then
        perform pg_advisory_xact_lock_shared(7708, b)
           from (select distinct hashtext(w) & 15 as b from unnest(p_wamid) w order by 1) as ascending;
    else
        perform pg_advisory_xact_lock(7708, b)
           from (select distinct hashtext(w) & 15 as b from unnest(p_wamid) w order by 1) as ascending;
    end if;
end $$;
