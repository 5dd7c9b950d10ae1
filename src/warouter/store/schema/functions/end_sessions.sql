-- Ends sessions of this database that a process of warouter has opened (their names begin with wa:)
-- under a login that this function may act for: no others, whatever their names are. The function is
-- the owner's, who is a member of the logins.
--
-- Called by: end_leader, end_incarnations, end_slot_holders
create function end_sessions(p_pids integer[]) returns integer language sql volatile
security definer set search_path from current as $$
    select count(*) filter (where pg_terminate_backend(a.pid))::integer
      from pg_stat_activity a
     where a.pid = any (p_pids) and a.pid <> pg_backend_pid()
       and a.datname = current_database() and a.application_name like 'wa:%'
       and pg_has_role(a.usesysid, 'usage')
       and (select not t.rolsuper or m.rolsuper
              from pg_roles t, pg_roles m where t.oid = a.usesysid and m.rolname = current_user)
$$;
