-- Deletes rows of the audit log that are older than p_days, and than kept_days: at most 1,000, from the
-- old end only, and nothing behind the first that is younger. Returns how many. The number and hash
-- of the last that went stay in audit_chain, as what the rest of the chain is anchored to. Sums that
-- are over become rows first.
--
-- Webapps call it with each action. One that was taken over may ask for any p_days: what audit_chain
-- says is the least, a day unless `warouter migrate --roles` has set it.
--
-- Called by: store/audit.py
create function prune_audit(p_days integer) returns integer language plpgsql volatile
security definer set search_path from current set enable_seqscan = off as $$
declare
    cutoff timestamptz;
    last bigint;
    gone integer;
begin
    if pg_try_advisory_xact_lock(7706, 0) then
        perform audit_move_sums();
    end if;
    select clock_timestamp() - make_interval(days => greatest(p_days, c.kept_days)) into cutoff
      from audit_chain c;
    if not exists (select from (select a.at from audit a order by a.id limit 1) oldest
                    where oldest.at < cutoff)
    then
        return 0;
    end if;
    perform from audit_chain for no key update;
    select max(a.id) into last
      from (select f.id, bool_and(f.at < cutoff) over (order by f.id) as old
              from (select x.id, x.at from audit x order by x.id limit 1000) f) a
     where a.old;
    update audit_chain c
       set tail_id = greatest(c.tail_id, last), pruned_by = pg_current_xact_id(),
           tail_hash = case when last > c.tail_id then a.hash else c.tail_hash end
      from audit a
     where a.id = last;
    delete from audit where id <= last;
    get diagnostics gone = row_count;
    return gone;
end $$;
