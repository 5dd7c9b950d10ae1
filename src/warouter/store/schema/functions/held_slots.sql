-- Returns which of the (slot, epoch) pairs the incarnation owns. This is the fence of every write
-- of an owner.
--
-- It takes the shared slot locks (class 7703) in ascending order in one statement, and reads the
-- owners in a later one, whose snapshot is therefore not older than the locks. A check in the same
-- statement as the lock let stale commits through. So this function, and every function that calls
-- it, is VOLATILE and runs under READ COMMITTED: it refuses a transaction that goes by a snapshot of
-- before, in which whoever was taken over owns the slot still.
--
-- An epoch of before a change of the database's timeline is held by nobody: what was written under it may
-- be lost, so its owner asks for the next one (change_owner), which is unsure. (One without a timeline is
-- of a test: change_owner gives none.)
--
-- Called by: append_messages, append_requests, append_events, record_progress, open_slots, prune,
--   take_up_letters, mend_parked, issue_requests, open_issues, drain_inbox, quiet_slots
create function held_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language plpgsql volatile
security definer set search_path from current as $$
declare
    held smallint[];
    timeline bigint := next_number(0) >> 32;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'slots are held under READ COMMITTED only'
              using errcode = 'invalid_transaction_state';
    end if;
    perform pg_advisory_xact_lock_shared(7703, s)
       from (select distinct unnest(p_slots) as s order by 1) as ascending;
    select coalesce(array_agg(o.slot), '{}') into held
      from slot o
      join unnest(p_slots, p_epochs) as p(slot, epoch) on p.slot = o.slot and p.epoch = o.epoch
     where o.owner = p_incarnation and (o.epoch >> 32 >= timeline or o.epoch >> 32 = 0);
    return held;
end $$;
