-- Ends the session that holds the lock of the leader: a frozen process would keep it.
--
-- Called by: store/election.py
create function end_leader() returns integer language sql volatile
security definer set search_path from current as $$
    select end_sessions(array(
        select l.pid from pg_locks l
         where l.locktype = 'advisory' and l.classid = 7701 and l.objid = 0 and l.objsubid = 2
           and l.granted
           and l.database = (select oid from pg_database where datname = current_database())))
$$;
