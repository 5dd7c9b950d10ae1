-- runs with: 3
--
-- Equal refusals, and equal log-ins, are one row of the audit log a minute, with how many they were.
-- A row of one deed has times 1 and no `since`, as an older build writes it.

alter table audit add column times integer not null default 1;
alter table audit add column since timestamptz;     -- when the minute (or hour) of a sum began

-- So many more of the same. New kinds of refusals are kept apart up to p_minute a minute and p_day a
-- day, since who guesses may write any name and come from anywhere. What is beyond is summed by the
-- hour, of one user from wherever it came, of names that are nobody's together; `*` is no user's name.
create function audit_add(p_actor text, p_action text, p_source text, p_outcome text,
                          p_times integer, p_minute integer, p_day integer)
returns void language plpgsql volatile as $$
declare
    bucket timestamptz := date_trunc('minute', now());
begin
    -- One webapp after the other: no unique index stands in the way of an older build.
    perform pg_advisory_xact_lock(7706, 0);
    update audit set times = times + p_times
     where since = bucket and actor = p_actor and action = p_action and source = p_source
       and outcome = p_outcome;
    if found then
        return;
    end if;
    if p_outcome <> 'done' and (
        (select count(*) from audit where since = bucket and outcome <> 'done') >= p_minute
        or (select count(*) from audit
             where since > now() - interval '1 day' and outcome <> 'done') >= p_day)
    then
        bucket := date_trunc('hour', now());
        p_source := '*';
        if not exists (select from user_account where username = p_actor) then
            p_actor := '*';
        end if;
        update audit set times = times + p_times
         where since = bucket and actor = p_actor and action = p_action and source = p_source
           and outcome = p_outcome;
        if found then
            return;
        end if;
    end if;
    insert into audit (actor, action, source, outcome, times, since)
    values (p_actor, p_action, p_source, p_outcome, p_times, bucket);
end $$;
