-- Returns the epoch or term that follows `old`: timeline * 2^32 + n, so that a standby which was
-- promoted without the last takeover cannot hand the same number out again.
--
-- Amazon Aurora has no WAL of PostgreSQL's kind: with its default wal_level these functions fail
-- there with 55000, in older versions with 0A000. Its timeline counts as 1, which is safe within one
-- Aurora cluster: whichever instance it fails over to has the same volume, with every commit that was
-- answered, so that `old` is the last number that was handed out and n alone sets them apart. A server
-- in recovery fails with 55000 too; that is not an answer, and stays an error.
--
-- Called by: change_owner, held_slots, win_term, store/election.py
create function next_number(old bigint) returns bigint language plpgsql volatile
security definer set search_path from current as $$
declare
    timeline bigint;
begin
    begin
        timeline := ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint;
    exception when object_not_in_prerequisite_state or feature_not_supported then
        if pg_is_in_recovery() then
            raise;
        end if;
        timeline := 1;
    end;
    return greatest(old, timeline << 32) + 1;
end $$;
