-- Deletes up to p_limit dead letters that died more than p_days ago; returns how many. By index, and
-- whoever asks at once takes others.
--
-- Called by: store/history.py
create function prune_letters(p_days float8, p_limit integer) returns bigint
language plpgsql volatile
security definer set search_path from current as $$
declare
    gone bigint;
begin
    delete from dead_letter where (slot, kind, seq) in (
        select slot, kind, seq from dead_letter
         where died_at < now() - greatest(p_days, 0) * interval '1 day' and asked_at is null
         order by died_at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    return gone;
end $$;
