-- The first statement of every write of a leader: takes the term's lock (class 7702) shared, then
-- fails with WA002 when the term is not the caller's any more. The check is a statement of its own,
-- for the same reason as in held_slots.
--
-- Called by: take_over, mark_slots, name_successors, end_shard_request, forget_nodes
create function hold_term(p_term bigint, p_incarnation uuid) returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'a term is held under READ COMMITTED only'
              using errcode = 'invalid_transaction_state';
    end if;
    perform pg_advisory_xact_lock_shared(7702, 0);
    if not exists (select 1 from term t where t.term = p_term and t.incarnation = p_incarnation) then
        raise exception 'stale term %', p_term using errcode = 'WA002';
    end if;
end $$;
