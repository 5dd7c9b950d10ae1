-- Ends the sessions that hold the locks of these slots, such as one with a hung statement.
--
-- Called by: store/election.py
create function end_slot_holders(p_slots smallint[]) returns integer language sql volatile
security definer set search_path from current as $$
    select end_sessions(array(
        select l.pid from pg_locks l
         where l.locktype = 'advisory' and l.classid = 7703 and l.objid::bigint = any (p_slots)
           and l.objsubid = 2 and l.granted
           and l.database = (select oid from pg_database where datname = current_database())))
$$;
