-- Moves the sums whose minute, or hour, is over into the audit log, each as one row. The caller has
-- the advisory lock of audit_add.
--
-- Called by: audit_add, prune_audit
create function audit_move_sums() returns void language sql volatile
security definer set search_path from current as $$
    with ended as (delete from audit_pending where until <= clock_timestamp() returning *)
    insert into audit (actor, action, source, outcome, times, since)
    select actor, action, source, outcome, times, first from ended
     order by first, actor, action, source, outcome
$$;
