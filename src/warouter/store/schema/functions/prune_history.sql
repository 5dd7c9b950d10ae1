-- Deletes changes of owners and requests for shards that are older than p_days (at least a day), and
-- answers about numbers after a year, or a week if they are not on WhatsApp: up to p_limit of each.
-- Returns how many of that of which most went. By an index each, and whoever asks at once takes others.
--
-- The last row of a slot in owner_log stays, however old it is: it says who owns the slot, and why.
--
-- Called by: store/history.py
create function prune_history(p_days float8, p_limit integer) returns bigint
language plpgsql volatile
security definer set search_path from current as $$
declare
    since constant timestamptz := now() - greatest(p_days, 1) * interval '1 day';
    gone bigint;
    most bigint := 0;
begin
    delete from owner_log where id in (
        select l.id from owner_log l
         where l.at < since
           and exists (select from owner_log n where n.slot = l.slot and n.id > l.id)
         order by l.at limit p_limit for update skip locked);
    get diagnostics most = row_count;
    delete from shard_request where id in (
        select id from shard_request
         where ended_at < since and state in ('done', 'refused')
         order by ended_at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from contact where (wa_id, number) in (
        select wa_id, number from contact
         where valid and checked_at < now() - interval '365 days'
         order by checked_at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from contact where (wa_id, number) in (
        select wa_id, number from contact
         where not valid and checked_at < now() - interval '7 days'
         order by checked_at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    return greatest(most, gone);
end $$;
