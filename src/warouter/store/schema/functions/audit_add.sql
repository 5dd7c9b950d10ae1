-- Adds p_times equal entries to the audit log as one row a minute. While the minute lasts they are
-- counted in audit_pending; then the sum becomes a row of the audit log that nobody changes. The
-- kinds of refusals that get rows of their own are limited to p_minute a minute and p_day a day,
-- since whoever guesses may write any name and come from anywhere. Refusals beyond that are summed
-- by the hour under the source '*', and under the actor '*' unless the actor is a user or a key.
--
-- An advisory lock lets one webapp write at a time. It is taken before the row of audit_chain,
-- as in prune_audit.
--
-- Called by: store/audit.py
create function audit_add(p_actor text, p_action text, p_source text, p_outcome text,
                          p_times integer, p_minute integer, p_day integer)
returns void language plpgsql volatile
security definer set search_path from current set enable_seqscan = off as $$
declare
    bucket timestamptz;
    width interval := interval '1 minute';
begin
    perform pg_advisory_xact_lock(7706, 0);
    perform audit_move_sums();
    bucket := date_trunc('minute', clock_timestamp());
    if p_outcome <> 'done' and not exists (
        select from audit_pending where since = bucket and actor = p_actor and action = p_action
           and source = p_source and outcome = p_outcome)
    and (
        (select count(*) from audit_pending where since = bucket and outcome <> 'done') >= p_minute
        or (select count(*) from audit
             where since > now() - interval '1 day' and outcome <> 'done')
         + (select count(*) from audit_pending where outcome <> 'done') >= p_day)
    then
        bucket := date_trunc('hour', bucket);
        width := interval '1 hour';
        p_source := '*';
        if not exists (
            select from user_account u join number n on n.id = u.number
             where p_actor = case u.number when 1 then '' else n.name || '/' end || u.username)
        and not exists (
            select from api_key k join number n on n.id = k.number
             where p_actor = case k.number when 1 then '' else n.name || '/' end || 'key:' || k.id)
        then
            p_actor := '*';
        end if;
    end if;
    insert into audit_pending as a (since, actor, action, source, outcome, times, until)
    values (bucket, p_actor, p_action, p_source, p_outcome, p_times, bucket + width)
    on conflict (since, actor, action, source, outcome) do update set times = a.times + p_times;
end $$;
