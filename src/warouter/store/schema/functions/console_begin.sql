-- Begins a session of the console under the hash of its id. False if the user is gone, has another
-- password than the one that was checked, or must change it first. A user has at most 20: the oldest
-- go. Those of anybody that have ended go as well.
--
-- The row of change is locked first, as by everybody who changes users, so that a password that
-- changes meanwhile ends this session or prevents it.
--
-- Called by: store/account/sessions.py
create function console_begin(
    p_number integer, p_username text, p_password_hash text, p_session bytea, p_source text)
returns boolean language plpgsql volatile
security definer set search_path from current as $$
begin
    perform from change c where c.what = 'auth' for no key update;
    perform from user_account u
      where u.number = p_number and u.username = p_username
        and u.password_hash = p_password_hash and not u.must_change
        for no key update;
    if not found then
        return false;
    end if;
    delete from console_session s
     where s.expires_at <= clock_timestamp()
        or s.hash in (select o.hash from console_session o
                       where o.number = p_number and o.username = p_username
                       order by o.created_at desc offset 19);
    insert into console_session (hash, number, username, source, expires_at)
    values (p_session, p_number, p_username, p_source, clock_timestamp() + interval '30 minutes');
    return true;
end $$;
