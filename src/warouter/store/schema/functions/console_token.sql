-- Adds a token of the API, known by its hash, for the user of a live session of the console; false
-- without such a session. It ends after a minute, should nobody forget it before. So the console acts
-- through the API with the rights of who is logged in, and its login writes no token itself.
--
-- Called by: store/account/sessions.py
create function console_token(p_session bytea, p_token bytea) returns boolean
language plpgsql volatile
security definer set search_path from current as $$
begin
    -- A password that changes meanwhile ends this token, or its session before.
    perform from change c where c.what = 'auth' for no key update;
    insert into token (hash, number, username, expires_at, created_at)
    select p_token, v.number, v.username, clock_timestamp() + interval '1 minute', clock_timestamp()
      from console_visitor(p_session, false) v;
    return found;
end $$;
