-- Ends a session of the console; returns whose it was, null if it had ended.
--
-- Called by: store/account/sessions.py
create function console_end(p_session bytea) returns text language sql volatile
security definer set search_path from current as $$
    delete from console_session s where s.hash = p_session returning s.username
$$;
