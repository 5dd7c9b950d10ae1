-- Returns what an owner needs and the calling user may not do, as one text; null when nothing is
-- missing. Asked every two seconds by each coreapp: a table is looked up by its name (offset 0 keeps
-- the privilege from being asked of every table first).
--
-- Called by: store/journal/sessions.py
create function unwritable() returns text language sql volatile as $$
    select string_agg(what, ', ' order by what) from (
        select 'the database is read-only' as what
         where current_setting('transaction_read_only')::boolean
        union all
        select 'no right to execute ' || p.proname
          from pg_proc p
         where p.pronamespace = current_schema()::regnamespace
           and p.proname in ('append_messages', 'append_requests', 'append_events', 'held_slots',
                             'record_progress', 'record_rare', 'open_slots', 'renew_epochs',
                             'change_owner', 'hand_over')
           and not has_function_privilege(p.oid, 'execute')
        union all
        select format('no right to %s %s', lower(n.privilege), c.relname)
          from (values ('message', 'INSERT'), ('event', 'INSERT'), ('request_key', 'INSERT'),
                       ('parked_message', 'INSERT'), ('parked_message', 'DELETE'),
                       ('parked_event', 'INSERT'), ('parked_event', 'DELETE'),
                       ('dead_letter', 'INSERT'), ('send_cursor', 'UPDATE'),
                       ('event_cursor', 'UPDATE'), ('slot', 'UPDATE'), ('owner_log', 'INSERT'))
               as n(relname, privilege),
               lateral (select x.oid, x.relname from pg_class x
                         where x.relname = n.relname::name
                           and x.relnamespace = current_schema()::regnamespace offset 0) c
         where not has_table_privilege(c.oid, n.privilege)) as missing
$$;
