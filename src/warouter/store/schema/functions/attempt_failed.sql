-- Counts one more failure of a name. The p_free-th failure within p_window seconds makes the name
-- wait p_first seconds, and each further one twice as long as the one before, p_longest at most. A
-- name that has waited starts anew after p_longest seconds without a failure.
--
-- p_at_once: the name is guessed from all over. This failure counts as the p_free-th at this address, so
-- that it makes the name wait at once. A name that has waited before goes on doubling.
--
-- Called by: store/account/logins.py
create function attempt_failed(p_what text, p_name text, p_free integer, p_window float8,
                               p_first float8, p_longest float8, p_at_once boolean)
returns void language plpgsql volatile
security definer set search_path from current as $$
declare
    a attempt;
    calm boolean;
begin
    if p_at_once then
        insert into attempt as o (what, name, failures) values (p_what, p_name, p_free - 1)
        on conflict (what, name) do update
           set failures = p_free - 1, since = now(), until = null
         where o.failures < p_free or o.until <= now() - p_longest * interval '1 s';
    end if;
    insert into attempt (what, name, failures) values (p_what, p_name, 0)
        on conflict (what, name) do nothing;
    select * into a from attempt where what = p_what and name = p_name for update;
    if a.failures < p_free then
        calm := a.since <= now() - p_window * interval '1 s';
    else
        calm := a.until <= now() - p_longest * interval '1 s';
    end if;
    if calm then
        a.failures := 0;
        a.since := now();
    end if;
    a.failures := a.failures + 1;
    update attempt
       set failures = a.failures, since = a.since,
           until = case when a.failures >= p_free
               then now() + interval '1 s'
                    * least(p_longest, p_first * power(2, least(a.failures - p_free, 20))) end
     where what = p_what and name = p_name;
end $$;
