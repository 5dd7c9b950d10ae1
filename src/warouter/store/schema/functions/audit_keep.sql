-- Trigger function: refuses to change or delete a row of the audit log, whoever asks. What
-- prune_audit deletes goes: rows that the anchor has passed in this transaction, older than a day.
-- No setting opens this, only the table audit_chain, which no process may write.
--
-- Called by: the triggers audit_keep and audit_keep_all of tables/access.sql
create function audit_keep() returns trigger language plpgsql volatile
security definer set search_path from current as $$
begin
    if tg_op = 'DELETE' then
        if old.at < clock_timestamp() - interval '1 day' and exists (
            select from audit_chain c
             where c.tail_id >= old.id and c.pruned_by = pg_current_xact_id())
        then
            return old;
        end if;
    end if;
    raise exception 'the audit log is append-only: % refused', lower(tg_op)
        using errcode = 'insufficient_privilege',
              hint = 'prune_audit deletes what WAROUTER_AUDIT_RETENTION no longer keeps.';
end $$;
