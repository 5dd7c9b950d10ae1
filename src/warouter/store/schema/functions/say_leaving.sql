-- Asks the leader for successors, because this process will stop. Returns whether another process of
-- its role and upstream has a session, and so can be one. Its commit is not waited for: the process
-- says it again until it has ended, and a slow disk must not keep it from being heard.
--
-- Called by: store/journal/slots.py
create function say_leaving(p_incarnation uuid, p_role text, p_upstream text) returns boolean
language plpgsql volatile
security definer set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update node set leaving = true where incarnation = p_incarnation;
    perform pg_notify('warouter', 'nodes');
    return exists (
        select from node n join pg_stat_activity a
            on a.application_name like 'wa:' || replace(n.incarnation::text, '-', '') || ':%'
         where n.role = p_role and n.incarnation <> p_incarnation and not n.leaving
           and n.upstream = p_upstream);
end $$;
