-- The sessions of this server, with what PostgreSQL shows of them to their own logins and to few
-- others only: since when each is in its transaction and in its state. Not what they run.
--
-- Called by: store/views/status.py, store/views/stats.py
create function sessions()
returns table (pid integer, datname name, application_name text, backend_type text,
               state_change timestamptz, xact_start timestamptz, backend_xmin xid)
language sql volatile
security definer set search_path from current as $$
    select a.pid, a.datname, a.application_name, a.backend_type, a.state_change, a.xact_start,
           a.backend_xmin
      from pg_stat_activity a
$$;
