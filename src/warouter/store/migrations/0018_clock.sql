-- runs with: 11
--
-- As before; what stands in the log as of a time to come, since the clock went back, is no reason to
-- leave a slot where it is until then.
create or replace function moved_lately() returns smallint[] language sql volatile as $$
    select coalesce(array_agg(distinct slot), '{}') from owner_log
     where at > now() - interval '1 minute'  -- stable, so that the index is used
       and at < now() + interval '1 minute'
       and reason in ('unreachable', 'upstream', 'journal', 'overdue')
$$;
