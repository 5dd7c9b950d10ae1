-- Ends the session that holds the lock of the leader: a frozen process would keep it. Spares the sessions
-- with these names (their first 35 characters, wa:<incarnation>), such as that of a master that lives and
-- is about to win: it holds the lock before its term is committed, and on a slow disk that takes longer
-- than others take to look.
--
-- Called by: store/election.py
create function end_leader(p_spared text[]) returns integer language sql volatile
security definer set search_path from current as $$
    select end_sessions(array(
        select l.pid from pg_locks l join pg_stat_activity a using (pid)
         where l.locktype = 'advisory' and l.classid = 7701 and l.objid = 0 and l.objsubid = 2
           and l.granted
           and l.database = (select oid from pg_database where datname = current_database())
           and substr(a.application_name, 1, 35) <> all (p_spared)))
$$;
