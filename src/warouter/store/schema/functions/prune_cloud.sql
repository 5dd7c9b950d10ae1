-- Deletes what is no longer needed of the Cloud API, up to p_limit rows of each: ids that are older than
-- p_days and than 30, as a message can be quoted for so long, unless something points to their message;
-- statuses of nobody after 8, as Meta repeats a webhook for 7; what processes said, and who could not
-- be reached, after a day; users without an alias whom nobody heard of for p_days and a year. Returns
-- how many of that of which most went.
--
-- Called by: store/history.py
create function prune_cloud(p_days float8, p_limit integer) returns bigint
language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
security definer set search_path from current as $$
declare
    gone bigint;
    most bigint := 0;
begin
    delete from upstream_id where (id, wamid) in (
        select u.id, u.wamid from upstream_id u
         where u.at < now() - greatest(p_days, 30) * interval '1 day'
           and not pointed_at(u.id)
         order by u.at limit p_limit for update skip locked);
    get diagnostics most = row_count;
    delete from cloud_unmatched where (key, number) in (
        select key, number from cloud_unmatched where at < now() - interval '8 days'
         order by at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from cloud_unreachable where (number, wa_id) in (
        select number, wa_id from cloud_unreachable where at < now() - interval '1 day'
         order by at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from contact_identity where (user_id, portfolio) in (
        select user_id, portfolio from contact_identity
         where alias is null and seen_at < now() - greatest(p_days, 365) * interval '1 day'
         order by seen_at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from cloud_path where webapp in (
        select webapp from cloud_path where seen_at < now() - interval '1 day'
         limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from cloud_share where (incarnation, number) in (
        select incarnation, number from cloud_share where seen_at < now() - interval '1 day'
         limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    return greatest(most, gone);
end $$;
