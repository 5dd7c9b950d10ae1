-- Trigger function: refuses to change or delete a row of the audit log, whoever asks. What
-- prune_audit deletes goes: rows that the anchor has passed in this transaction, older than a day.
-- No setting opens this, only the table audit_chain, which no process may write.
--
-- Builds from before 0031 update the row of an action that ends, and delete by themselves. For
-- processes (`wa:...`) the former becomes the row of an end, and the latter does nothing; whoever
-- takes that name for a session gets no more than that.
--
-- Called by: the triggers audit_keep and audit_keep_all of tables/access.sql
create function audit_keep() returns trigger language plpgsql volatile
security definer set search_path from current as $$
declare
    process boolean := current_setting('application_name') like 'wa:%';
    about text;
    ended text;
begin
    if tg_op = 'UPDATE' then
        about := new.subject;
        ended := new.outcome;
        new.subject := old.subject;
        new.outcome := old.outcome;
        if process and new is not distinct from old then
            insert into audit (actor, action, subject, source, outcome, of)
            values (old.actor, old.action, about, old.source, ended, old.id);
            return null;
        end if;
    elsif tg_op = 'DELETE' then
        if old.at < clock_timestamp() - interval '1 day' and exists (
            select from audit_chain c
             where c.tail_id >= old.id and c.pruned_by = pg_current_xact_id())
        then
            return old;
        end if;
        if process then
            return null;
        end if;
    end if;
    raise exception 'the audit log is append-only: % refused', lower(tg_op)
        using errcode = 'insufficient_privilege',
              hint = 'prune_audit deletes what WAROUTER_AUDIT_RETENTION no longer keeps.';
end $$;
