-- Trigger function: gives a new row of the audit log its place in the chain. Whoever inserts chooses
-- neither number, time nor hash. The row of audit_chain is locked until the end of the transaction,
-- so rows are committed in the order of their numbers, and a rollback leaves no gap; a transaction
-- therefore writes its audit row last. The NOTIFY is a hint for those who follow the log.
--
-- A row with `of` is the end of an action. It takes from the action's first row who did what from
-- where, and is refused if that action has ended already, began more than a day ago, or never did.
--
-- The setting makes every plan go by the indexes, however many rows there were when it was made.
--
-- Called by: the trigger audit_append of tables/access.sql
create function audit_append() returns trigger language plpgsql volatile
security definer set search_path from current set enable_seqscan = off as $$
declare
    head record;
    begun record;
begin
    select c.head_id as id, c.head_hash as hash into head from audit_chain c for no key update;
    if not found then
        raise exception 'the audit log has no chain: restore the row of audit_chain from a backup';
    end if;
    if new.of is not null then
        select a.actor, a.action, a.source into begun from audit a
         where a.id = new.of and a.of is null and a.outcome = 'begun'
           and a.at > clock_timestamp() - interval '1 day';
        if not found or exists (select from audit a where a.id > new.of and a.of = new.of) then
            raise exception 'row % of the audit log is no action that is under way', new.of
                using errcode = 'check_violation';
        end if;
        new.actor := begun.actor;
        new.action := begun.action;
        new.source := begun.source;
    end if;
    -- Readers in any language must be able to read it.
    if not new.since between '2000-01-01' and '9999-01-01' then
        raise exception 'the time % is out of range', new.since using errcode = 'check_violation';
    end if;
    new.id := head.id + 1;
    new.at := clock_timestamp();
    new.hash := audit_hash(head.hash, array[
        new.id::text, to_char(new.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        new.actor, new.action, new.subject, new.source, new.outcome, new.of::text, new.times::text,
        to_char(new.since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')]);
    update audit_chain set head_id = new.id, head_hash = new.hash;
    perform pg_notify('warouter_audit', new.id::text);
    return new;
end $$;
