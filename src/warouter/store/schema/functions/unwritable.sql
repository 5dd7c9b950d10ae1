-- Returns what an owner needs and may not do, as one text; null when nothing is missing: what the
-- calling user may not execute, and which writes the owner of the functions may not make, in whose name
-- they run. So it is not the owner who is asked: this one runs as its caller.
--
-- Asked every two seconds by each coreapp: a table is looked up by its name (offset 0 keeps the
-- privilege from being asked of every table first).
--
-- Called by: store/journal/sessions.py
create function unwritable() returns text language sql volatile
set search_path from current as $$
    select string_agg(what, ', ' order by what) from (
        select 'the database is read-only' as what
         where current_setting('transaction_read_only')::boolean
        union all
        select 'no right to execute ' || p.proname
          from pg_proc p
         where p.pronamespace = current_schema()::regnamespace
           and p.proname in ('append_messages', 'append_issued', 'append_requests', 'append_events',
                             'append_endings', 'record_progress', 'open_slots', 'renew_epochs',
                             'hand_over', 'issue_requests', 'open_issues', 'drain_inbox',
                             'tell_owner', 'quiet_slots')
           and not has_function_privilege(p.oid, 'execute')
        union all
        select format('no right to %s %s', lower(n.privilege), c.relname)
          from (values ('message', 'INSERT'), ('event', 'INSERT'), ('request_key', 'INSERT'),
                       ('parked_message', 'INSERT'), ('parked_message', 'DELETE'),
                       ('parked_event', 'INSERT'), ('parked_event', 'DELETE'),
                       ('dead_letter', 'INSERT'), ('send_cursor', 'UPDATE'),
                       ('event_cursor', 'UPDATE'), ('slot', 'UPDATE'), ('owner_log', 'INSERT'),
                       ('send_issue', 'INSERT'), ('send_issue', 'UPDATE'),
                       ('send_issue', 'DELETE'), ('upstream_id', 'INSERT'),
                       ('upstream_id', 'UPDATE'), ('cloud_inbox', 'INSERT'),
                       ('cloud_inbox', 'DELETE'), ('cloud_unmatched', 'DELETE'))
               as n(relname, privilege),
               lateral (select x.oid, x.relname from pg_class x
                         where x.relname = n.relname::name
                           and x.relnamespace = current_schema()::regnamespace offset 0) c,
               lateral (select p.proowner from pg_proc p
                         where p.proname = 'record_progress'
                           and p.pronamespace = current_schema()::regnamespace limit 1) f
         where not has_table_privilege(f.proowner, c.oid, n.privilege)) as missing
$$;
