-- Counts a failure of a name, whatever the address. Returns whether there were p_most or more
-- within p_window seconds.
--
-- Called by: store/account/logins.py
create function attempt_spread(p_name text, p_most integer, p_window float8)
returns boolean language sql volatile
security definer set search_path from current as $$
    insert into attempt as a (what, name, failures) values ('spread', p_name, 1)
    on conflict (what, name) do update
       set failures = case when a.since <= now() - p_window * interval '1 s' then 1
                           else a.failures + 1 end,
           since = case when a.since <= now() - p_window * interval '1 s' then now()
                        else a.since end
    returning failures >= p_most;
$$;
