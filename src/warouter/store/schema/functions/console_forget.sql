-- Removes a token of the API that console_token has added, and what has ended of the same user's.
--
-- Called by: store/account/sessions.py
create function console_forget(p_token bytea) returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    -- First, since a trigger locks it after the token: as everybody who removes tokens does.
    perform from change c where c.what = 'auth' for no key update;
    delete from token t
     using token o
     where o.hash = p_token and o.number = t.number and o.username = t.username
       and (t.hash = p_token or t.expires_at <= clock_timestamp());
end $$;
