-- runs with: 11
--
-- A coreapp says with its beats whether it can write its journals, and asks the database what of
-- that it may not do. Older builds go on with the beats they know, which leave the new column as
-- it is: true.

alter table beat add column journal_ok boolean not null default true;

-- As beat(uuid, boolean, uuid[]), with what a coreapp says of its journals.
create function beat(
    p_incarnation uuid, p_upstream_ok boolean, p_unreached uuid[], p_journal_ok boolean)
returns table (slots smallint[], epochs bigint[], handing smallint[], handing_epochs bigint[],
               map_version bigint, settings_version bigint)
language plpgsql volatile as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update beat set counter = counter + 1, upstream_ok = p_upstream_ok, unreached = p_unreached,
                    journal_ok = p_journal_ok
     where incarnation = p_incarnation;
    if not found then
        return;
    end if;
    return query
        select coalesce(array_agg(s.slot) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.slot) filter (where s.successor is not null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is not null), '{}'),
               (select m.version from shard_map m),
               (select c.version from change c where c.what = 'settings')
          from slot s where s.owner = p_incarnation;
end $$;

-- What an owner needs and whoever calls may not do, as one text; null when nothing is missing.
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
          from pg_class c
          join (values ('message', 'INSERT'), ('event', 'INSERT'), ('request_key', 'INSERT'),
                       ('parked_message', 'INSERT'), ('parked_message', 'DELETE'),
                       ('parked_event', 'INSERT'), ('parked_event', 'DELETE'),
                       ('dead_letter', 'INSERT'), ('send_cursor', 'UPDATE'),
                       ('event_cursor', 'UPDATE'), ('slot', 'UPDATE'), ('owner_log', 'INSERT'))
               as n(relname, privilege) using (relname)
         where c.relnamespace = current_schema()::regnamespace
           and not has_table_privilege(c.oid, n.privilege)) as missing
$$;

-- An owner that cannot write cannot hand over either: that its slots were taken from it by force
-- has the same reason.
create or replace function change_owner(
    p_slot smallint, p_to uuid, p_term bigint, p_reason text, p_age_ms integer, p_above bigint)
returns bigint language plpgsql volatile as $$
declare
    was slot;
    raised bigint;
begin
    select * into was from slot s where s.slot = p_slot;
    raised := next_number(greatest(was.epoch, p_above));
    update slot s set owner = p_to, successor = null, why = null, epoch = raised
     where s.slot = p_slot;
    insert into owner_log (slot, from_incarnation, to_incarnation, from_node, to_node, epoch, term,
                           reason, observed_age_ms)
    values (p_slot, was.owner, p_to, (select name from node where incarnation = was.owner),
            (select name from node where incarnation = p_to), raised, p_term,
            case when p_reason = 'handover' or p_reason = 'overdue' and was.why = 'journal'
                 then coalesce(was.why, p_reason) else p_reason end,
            p_age_ms);
    return raised;
end $$;

-- Slots that left an owner in trouble within the last minute, also where they had to be taken by
-- force. A row dated later than in a minute was written before the clock was set back, and is passed
-- over: it would keep its slot from moving until then.
create or replace function moved_lately() returns smallint[] language sql volatile as $$
    select coalesce(array_agg(distinct slot), '{}') from owner_log
     where at > now() - interval '1 minute'  -- stable, so that the index is used
       and at < now() + interval '1 minute'
       and reason in ('unreachable', 'upstream', 'journal', 'overdue')
$$;
