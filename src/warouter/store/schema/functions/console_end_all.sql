-- Ends all sessions of a user at the console; returns how many.
--
-- Called by: store/account/sessions.py
create function console_end_all(p_number integer, p_username text) returns integer language plpgsql volatile
security definer set search_path from current as $$
declare
    ended integer;
begin
    delete from console_session s where s.number = p_number and s.username = p_username;
    get diagnostics ended = row_count;
    return ended;
end $$;
