-- The user of a session of the console; no row if it has ended. With p_seen the session goes on for
-- another 30 minutes, 12 hours after its begin at most; that is written once a minute.
--
-- Called by: store/account/sessions.py, console_token, reveal_message
create function console_visitor(p_session bytea, p_seen boolean)
returns table (number integer, username text, role text) language plpgsql volatile
security definer set search_path from current as $$
begin
    if p_seen then
        update console_session s
           set seen_at = clock_timestamp(),
               expires_at = least(clock_timestamp() + interval '30 minutes',
                                  s.created_at + interval '12 hours')
         where s.hash = p_session and s.expires_at > clock_timestamp()
           and s.seen_at < clock_timestamp() - interval '1 minute';
    end if;
    return query
        select u.number, u.username, u.role
          from console_session s
          join user_account u on u.number = s.number and u.username = s.username
         where s.hash = p_session and s.expires_at > clock_timestamp() and not u.must_change;
end $$;
