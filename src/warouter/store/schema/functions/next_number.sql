-- Returns the epoch or term that follows `old`: timeline * 2^32 + n, so that a standby which was
-- promoted without the last takeover cannot hand the same number out again.
--
-- Called by: change_owner, win_term, raise_epochs, store/election.py
create function next_number(old bigint) returns bigint language sql volatile
security definer set search_path from current as $$
    select greatest(old, (('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint) << 32) + 1
$$;
