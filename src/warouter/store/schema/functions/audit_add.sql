-- Adds p_times equal entries to the audit log as one row a minute. The kinds of refusals that get
-- rows of their own are limited to p_minute a minute and p_day a day, since whoever guesses may
-- write any name and come from anywhere. Refusals beyond that are summed by the hour under the
-- source '*', and under the actor '*' unless the actor is a user.
--
-- An advisory lock lets one webapp write at a time; a unique index would stand in the way of older
-- builds.
--
-- Called by: store/audit.py
create function audit_add(p_actor text, p_action text, p_source text, p_outcome text,
                          p_times integer, p_minute integer, p_day integer)
returns void language plpgsql volatile
security definer set search_path from current as $$
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
