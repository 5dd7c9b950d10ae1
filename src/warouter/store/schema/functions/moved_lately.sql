-- Returns the slots that left an owner in trouble within the last minute, also where they had to be
-- taken by force. A row dated more than a minute ahead was written before the clock was set back;
-- it is passed over, or it would keep its slot from moving until then.
--
-- Called by: store/election.py
create function moved_lately() returns smallint[] language sql volatile
security definer set search_path from current as $$
    select coalesce(array_agg(distinct slot), '{}') from owner_log
     where at > now() - interval '1 minute'  -- stable, so that the index is used
       and at < now() + interval '1 minute'
       and reason in ('unreachable', 'upstream', 'journal', 'overdue')
$$;
