-- runs with: 3
--
-- Attempts at a password count for the name at an address (what 'user', name and address with a line
-- break between them, as for known addresses before), so that nobody can keep a user waiting from
-- elsewhere. New kinds: 'spread' counts the failures of a name from all addresses, 'key' those of an
-- address with the API key. An older build counts on in its own rows and reads none of these.

alter table attempt drop constraint attempt_what_check;
alter table attempt add constraint attempt_what_check
    check (what in ('user', 'pin', 'address', 'known', 'spread', 'key'));

-- A failure of p_name, from wherever; whether there were p_most of them, or more, in p_window seconds.
create function attempt_spread(p_name text, p_most integer, p_window float8)
returns boolean language sql volatile as $$
    insert into attempt as a (what, name, failures) values ('spread', p_name, 1)
    on conflict (what, name) do update
       set failures = case when a.since <= now() - p_window * interval '1 s' then 1
                           else a.failures + 1 end,
           since = case when a.since <= now() - p_window * interval '1 s' then now()
                        else a.since end
    returning failures >= p_most;
$$;

-- The same of a name that is guessed from all over, if p_at_once: what it has left at an address is
-- this failure, as though p_free - 1 had come this minute. Its first wait is p_first all the same, and
-- what has waited before goes on doubling.
create function attempt_failed(p_what text, p_name text, p_free integer, p_window float8,
                               p_first float8, p_longest float8, p_at_once boolean)
returns void language plpgsql volatile as $$
begin
    if p_at_once then
        insert into attempt as a (what, name, failures) values (p_what, p_name, p_free - 1)
        on conflict (what, name) do update
           set failures = p_free - 1, since = now(), until = null
         where a.failures < p_free or a.until <= now() - p_longest * interval '1 s';
    end if;
    perform attempt_failed(p_what, p_name, p_free, p_window, p_first, p_longest);
end $$;
