-- Ends the sessions of incarnations that are dead, so that their locks delay no takeover. p_names are
-- the first 35 characters of their sessions' names, wa:<incarnation>.
--
-- Called by: store/election.py
create function end_incarnations(p_names text[]) returns integer language sql volatile
security definer set search_path from current as $$
    select end_sessions(array(
        select a.pid from pg_stat_activity a
         where a.datname = current_database() and substr(a.application_name, 1, 35) = any (p_names)))
$$;
