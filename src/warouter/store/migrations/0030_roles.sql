-- runs with: 11
--
-- A login for each kind of process: `warouter migrate --roles` makes them. Functions run in the name of
-- their owner from here on, with a search_path of their own, so that a login needs no right to what they
-- write; and what builds have done without a function so far, where it is not theirs to do, is one.

-- Which login is used by which kind of process, as `warouter migrate --roles` has made them, and who
-- owns the schema. Empty where one login does everything.
create table database_role (
    kind text primary key
         check (kind in ('owner', 'webapp', 'coreapp', 'master', 'console', 'reader')),
    name name not null unique
);

-- Asks the leader for successors, because this process will stop. Returns whether another process of
-- its role and upstream has a session, and so can be one.
--
-- Called by: store/beats.py
create function say_leaving(p_incarnation uuid, p_role text, p_upstream text) returns boolean
language plpgsql volatile
security definer set search_path from current as $$
begin
    update node set leaving = true where incarnation = p_incarnation;
    perform pg_notify('warouter', 'nodes');
    return exists (
        select from node n join pg_stat_activity a
            on a.application_name like 'wa:' || replace(n.incarnation::text, '-', '') || ':%'
         where n.role = p_role and n.incarnation <> p_incarnation and not n.leaving
           and coalesce(n.upstream, 'simulator') = p_upstream);
end $$;

-- Ends sessions of this database that a process of warouter has opened (their names begin with wa:)
-- under a login that this function may act for: no others, whatever their names are. The function is
-- the owner's, who is a member of the logins.
--
-- Called by: end_leader, end_incarnations, end_slot_holders
create function end_sessions(p_pids integer[]) returns integer language sql volatile
security definer set search_path from current as $$
    select count(*) filter (where pg_terminate_backend(a.pid))::integer
      from pg_stat_activity a
     where a.pid = any (p_pids) and a.pid <> pg_backend_pid()
       and a.datname = current_database() and a.application_name like 'wa:%'
       and pg_has_role(a.usesysid, 'usage')
       and (select not t.rolsuper or m.rolsuper
              from pg_roles t, pg_roles m where t.oid = a.usesysid and m.rolname = current_user)
$$;

-- Ends the session that holds the lock of the leader: a frozen process would keep it.
--
-- Called by: store/election.py
create function end_leader() returns integer language sql volatile
security definer set search_path from current as $$
    select end_sessions(array(
        select l.pid from pg_locks l
         where l.locktype = 'advisory' and l.classid = 7701 and l.objid = 0 and l.objsubid = 2
           and l.granted
           and l.database = (select oid from pg_database where datname = current_database())))
$$;

-- Ends the sessions of incarnations that are dead, so that their locks delay no takeover. p_names are
-- the first 35 characters of their sessions' names, wa:<incarnation>.
--
-- Called by: store/election.py
create function end_incarnations(p_names text[]) returns integer language sql volatile
security definer set search_path from current as $$
    select end_sessions(array(
        select a.pid from pg_stat_activity a
         where a.datname = current_database() and substr(a.application_name, 1, 35) = any (p_names)))
$$;

-- Ends the sessions that hold the locks of these slots, such as one with a hung statement.
--
-- Called by: store/election.py
create function end_slot_holders(p_slots smallint[]) returns integer language sql volatile
security definer set search_path from current as $$
    select end_sessions(array(
        select l.pid from pg_locks l
         where l.locktype = 'advisory' and l.classid = 7703 and l.objid::bigint = any (p_slots)
           and l.objsubid = 2 and l.granted
           and l.database = (select oid from pg_database where datname = current_database())))
$$;

-- The sessions of this server, with what PostgreSQL shows of them to their own logins and to few
-- others only: since when each is in its transaction and in its state. Not what they run.
--
-- Called by: store/views/status.py, store/views/stats.py
create function sessions()
returns table (pid integer, datname name, application_name text, backend_type text,
               state_change timestamptz, xact_start timestamptz, backend_xmin xid)
language sql volatile
security definer set search_path from current as $$
    select a.pid, a.datname, a.application_name, a.backend_type, a.state_change, a.xact_start,
           a.backend_xmin
      from pg_stat_activity a
$$;

-- Writes an operator's word on messages into the inbox of their owners; p_draw makes its key one of its
-- own. Returns those that are held, and so hear it. In the order of the keys, as all writers of the inbox.
--
-- Called by: store/operator_word.py
create function say_word(p_ids bytea[], p_draw text, p_word bytea) returns setof bytea
language sql volatile
security definer set search_path from current as $$
    insert into cloud_inbox (slot, kind, key, id, payload)
    select s.slot, 4, 'asked:' || encode(s.id, 'hex') || ':' || p_draw, s.id, p_word
      from send_issue s where s.id = any (p_ids) and s.state = 3 order by s.id
    returning id
$$;

-- Writes what a coreapp knows for whoever owns the slot now.
--
-- Called by: store/journal/inbox.py
create function tell_owner(p_slot smallint, p_kind smallint, p_key text, p_id bytea,
                           p_attempt smallint, p_wamid text, p_payload bytea)
returns void language sql volatile
security definer set search_path from current as $$
    insert into cloud_inbox (slot, kind, key, id, attempt, wamid, payload)
    values (p_slot, p_kind, p_key, p_id, p_attempt, p_wamid, p_payload)
    on conflict (key) do nothing
$$;

-- What the upstream said in a status, from the journal or from the dead letters; null for any other
-- event, which may hold what somebody wrote.
--
-- Called by: store/views/trace.py
create function status_said(p_key text) returns bytea language sql volatile
security definer set search_path from current as $$
    select payload from event where key = p_key and kind = 0
    union all
    select payload from dead_letter where key = p_key and kind = 0
     limit 1
$$;

-- Whether a message in the journal is of a template; false if it is not there.
--
-- Called by: store/views/doubts.py
create function of_template(p_slot smallint, p_seq bigint) returns boolean language sql volatile
security definer set search_path from current as $$
    select exists (select from message m
                    where m.slot = p_slot and m.seq = p_seq
                      and position('"template"'::bytea in m.body) > 0)
$$;

-- The operator's word on a message that its owner has not taken up yet; null if there is none.
--
-- Called by: store/views/doubts.py
create function word_said(p_id bytea) returns text language sql volatile
security definer set search_path from current as $$
    select convert_from(i.payload, 'UTF8') from cloud_inbox i
     where i.id = p_id and i.kind = 4 order by i.n limit 1
$$;

-- Deletes up to p_limit dead letters that died more than p_days ago; returns how many. By index, and
-- whoever asks at once takes others.
--
-- Called by: store/history.py
create function prune_letters(p_days float8, p_limit integer) returns bigint
language plpgsql volatile
security definer set search_path from current as $$
declare
    gone bigint;
begin
    delete from dead_letter where (slot, kind, seq) in (
        select slot, kind, seq from dead_letter
         where died_at < now() - greatest(p_days, 0) * interval '1 day' and asked_at is null
         order by died_at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    return gone;
end $$;

-- Deletes changes of owners and requests for shards that are older than p_days (at least a day), and
-- answers about numbers after a year, or a week if they are not on WhatsApp: up to p_limit of each.
-- Returns how many of that of which most went. By an index each, and whoever asks at once takes others.
--
-- The last row of a slot in owner_log stays, however old it is: it says who owns the slot, and why.
--
-- Called by: store/history.py
create function prune_history(p_days float8, p_limit integer) returns bigint
language plpgsql volatile
security definer set search_path from current as $$
declare
    since constant timestamptz := now() - greatest(p_days, 1) * interval '1 day';
    gone bigint;
    most bigint := 0;
begin
    delete from owner_log where id in (
        select l.id from owner_log l
         where l.at < since
           and exists (select from owner_log n where n.slot = l.slot and n.id > l.id)
         order by l.at limit p_limit for update skip locked);
    get diagnostics most = row_count;
    delete from shard_request where id in (
        select id from shard_request
         where ended_at < since and state in ('done', 'refused')
         order by ended_at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from contact where wa_id in (
        select wa_id from contact
         where valid and checked_at < now() - interval '365 days'
         order by checked_at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from contact where wa_id in (
        select wa_id from contact
         where not valid and checked_at < now() - interval '7 days'
         order by checked_at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    return greatest(most, gone);
end $$;

-- Deletes what is no longer needed of the Cloud API, up to p_limit rows of each: ids that are older than
-- p_days and than 30, as a message can be quoted for so long; statuses of nobody after 8, as Meta
-- repeats a webhook for 7; what processes said, and who could not be reached, after a day; recipients
-- of whom nothing more may be heard. Returns how many of that of which most went.
--
-- Called by: store/history.py
create function prune_cloud(p_days float8, p_limit integer) returns bigint
language plpgsql volatile
security definer set search_path from current as $$
declare
    gone bigint;
    most bigint := 0;
begin
    delete from upstream_id where wamid in (
        select u.wamid from upstream_id u
         where u.at < now() - greatest(p_days, 30) * interval '1 day'
           and not exists (select from send_issue i where i.id = u.id)
         order by u.at limit p_limit for update skip locked);
    get diagnostics most = row_count;
    delete from cloud_unmatched where key in (
        select key from cloud_unmatched where at < now() - interval '8 days'
         order by at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from cloud_unheard where recipient in (
        select recipient from cloud_unheard where until < now()
         limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from cloud_unreachable where wa_id in (
        select wa_id from cloud_unreachable where at < now() - interval '1 day'
         order by at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from cloud_path where webapp in (
        select webapp from cloud_path where seen_at < now() - interval '1 day'
         limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from cloud_share where incarnation in (
        select incarnation from cloud_share where seen_at < now() - interval '1 day'
         limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    return greatest(most, gone);
end $$;

-- Returns what an owner needs and may not do, as one text; null when nothing is missing: what the
-- calling user may not execute, and which writes the owner of the functions may not make, in whose name
-- they run. So it is not the owner who is asked: this one runs as its caller.
--
-- Asked every two seconds by each coreapp: a table is looked up by its name (offset 0 keeps the
-- privilege from being asked of every table first).
--
-- Called by: store/journal/sessions.py
create or replace function unwritable() returns text language sql volatile
set search_path from current as $$
    select string_agg(what, ', ' order by what) from (
        select 'the database is read-only' as what
         where current_setting('transaction_read_only')::boolean
        union all
        select 'no right to execute ' || p.proname
          from pg_proc p
         where p.pronamespace = current_schema()::regnamespace
           and p.proname in ('append_messages', 'append_issued', 'append_requests', 'append_events',
                             'record_progress', 'open_slots', 'renew_epochs', 'hand_over')
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
                           and x.relnamespace = current_schema()::regnamespace offset 0) c,
               lateral (select p.proowner from pg_proc p
                         where p.proname = 'record_progress'
                           and p.pronamespace = current_schema()::regnamespace limit 1) f
         where not has_table_privilege(f.proowner, c.oid, n.privilege)) as missing
$$;

-- Writes the rows of a process that starts (node and beat). Doing it again changes nothing. Of its
-- upstream it says nothing: builds that call it have the simulator.
--
-- Where each kind of process has a login of its own, one cannot register as another, nor can a member of
-- it: a webapp that were taken for a coreapp would be given slots, and messages with them.
--
-- Called by: register_node, builds up to 0023
create or replace function register_node(
    p_incarnation uuid, p_name text, p_role text, p_host text, p_port integer, p_link_key bytea,
    p_fingerprint text, p_version text, p_hash_name text, p_hash_version integer, p_pid integer)
returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    if exists (select from database_role d join pg_roles r on r.rolname = d.name
                where d.kind in ('webapp', 'coreapp', 'master')
                  and pg_has_role(session_user, r.oid, 'member')
               having count(*) > 0 and not bool_or(d.kind = p_role)) then
        raise exception 'login % is not that of a %', session_user, p_role
              using errcode = 'insufficient_privilege';
    end if;
    insert into node (incarnation, name, role, host, port, link_key, fingerprint, version,
                      hash_name, hash_version, pid)
    values (p_incarnation, p_name, p_role, p_host, p_port, p_link_key, p_fingerprint, p_version,
            p_hash_name, p_hash_version, p_pid)
    on conflict (incarnation) do nothing;
    insert into beat (incarnation, counter) values (p_incarnation, 0) on conflict do nothing;
    perform pg_notify('warouter', 'nodes');
end $$;

-- Does the same, with the upstream that the process is set to.
--
-- Called by: register_node, builds up to 0029
create or replace function register_node(
    p_incarnation uuid, p_name text, p_role text, p_host text, p_port integer, p_link_key bytea,
    p_fingerprint text, p_version text, p_hash_name text, p_hash_version integer, p_pid integer,
    p_upstream text)
returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    perform register_node(p_incarnation, p_name, p_role, p_host, p_port, p_link_key, p_fingerprint,
                          p_version, p_hash_name, p_hash_version, p_pid);
    update node n set upstream = p_upstream
     where n.incarnation = p_incarnation and n.role = p_role
       and n.upstream is distinct from p_upstream;
end $$;

-- Takes what webhooks brought, all of a commit, in the order of the keys: two webapps that get the
-- same events in different order would wait for each other's rows in a circle. Their numbers have the
-- order in which the rows came. Whoever writes more than one of these tables in a transaction does so
-- in this order: contact_identity, cloud_inbox, cloud_unmatched.
--
-- Statuses, inbound messages and errors only (kinds 0, 1, 3): what owners and operators say is not for
-- a webapp to write. A null slot is that of a status without a reference: it is looked up by its wamid.
-- With a null p_webapp nothing is said of the listener. Returns how many rows are new in the inbox, and
-- how many new ones are of a wamid that nobody knows (yet).
--
-- Called by: store/cloud/receive.py
create or replace function receive_cloud(
    p_webapp uuid, p_broken boolean, p_meta bigint, p_inbound real,
    p_slot smallint[], p_kind smallint[], p_key text[], p_id bytea[], p_attempt smallint[],
    p_wamid text[], p_recipient text[], p_payload bytea[], p_contact bytea[],
    p_gone text[], p_user text[], p_wa_id text[], p_alias text[], p_parent text[],
    p_username text[], p_name text[])
returns table (inserted integer, unmatched integer) language plpgsql volatile
security definer set search_path from current as $$
begin
    inserted := 0;
    unmatched := 0;
    if cardinality(p_user) > 0 or cardinality(p_gone) > 0 then
        perform learn_identities(p_gone, p_user, p_wa_id, p_alias, p_parent, p_username, p_name);
    end if;
    if array_position(p_slot, null) is not null then
        -- At once for all of them: asked about twice, an id recorded in between would be in neither.
        select array_agg(coalesce(f.slot, u.slot) order by f.n),
               array_agg(coalesce(f.id, u.id) order by f.n),
               array_agg(coalesce(f.attempt, u.attempt) order by f.n)
          into p_slot, p_id, p_attempt
          from unnest(p_slot, p_id, p_attempt, p_wamid)
               with ordinality as f(slot, id, attempt, wamid, n)
          left join upstream_id u on f.slot is null and u.wamid = f.wamid;
    end if;
    insert into cloud_inbox (n, slot, kind, key, id, attempt, wamid, recipient, payload, contact)
    overriding system value
    select f.n, f.slot, f.kind, f.key, f.id, f.attempt, f.wamid, f.recipient, f.payload, f.contact
      from (select nextval('cloud_inbox_n_seq') as n, e.*
              from unnest(p_slot, p_kind, p_key, p_id, p_attempt, p_wamid, p_recipient, p_payload,
                          p_contact)
                as e(slot, kind, key, id, attempt, wamid, recipient, payload, contact)
             where e.slot is not null and e.kind in (0, 1, 3)) f
     order by f.key collate "C"
    on conflict (key) do nothing;
    get diagnostics inserted = row_count;
    if array_position(p_slot, null) is not null then
        insert into cloud_unmatched (wamid, key, recipient, payload)
        select f.wamid, f.key, f.recipient, f.payload
          from unnest(p_slot, p_key, p_wamid, p_recipient, p_payload)
            as f(slot, key, wamid, recipient, payload)
         where f.slot is null
         order by f.key collate "C"
        on conflict (key) do nothing;
        get diagnostics unmatched = row_count;
    end if;
    if p_webapp is not null then
        perform touch_cloud_path(p_webapp, p_broken, p_meta, p_inbound);
    end if;
    return next;
end $$;

-- Returns which of the (slot, epoch) pairs the incarnation owns. This is the fence of every write
-- of an owner.
--
-- It takes the shared slot locks (class 7703) in ascending order in one statement, and reads the
-- owners in a later one, whose snapshot is therefore not older than the locks. A check in the same
-- statement as the lock let stale commits through. So this function, and every function that calls
-- it, is VOLATILE and runs under READ COMMITTED: it refuses a transaction that goes by a snapshot of
-- before, in which whoever was taken over owns the slot still.
--
-- Called by: append_messages, append_requests, append_events, record_progress, open_slots, prune,
--   take_up_letters, mend_parked, lead_parked, issue_requests, open_issues, drain_inbox,
--   match_unmatched, match_failure, quiet_slots
create or replace function held_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language plpgsql volatile
security definer set search_path from current as $$
declare
    held smallint[];
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
     where o.owner = p_incarnation;
    return held;
end $$;

-- The first statement of every write of a leader: takes the term's lock (class 7702) shared, then
-- fails with WA002 when the term is not the caller's any more. The check is a statement of its own,
-- for the same reason as in held_slots.
--
-- Called by: take_over, mark_slots, name_successors, end_shard_request, raise_epochs, forget_nodes
create or replace function hold_term(p_term bigint, p_incarnation uuid) returns void language plpgsql volatile
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

-- All functions that there are: in the name of their owner, but for the one that asks what its caller
-- may, and executed by nobody who was not told so.
--
-- A login that processes run under, since it was given rights to tables by hand, may call what it could
-- do before with these rights. Nobody else may, whatever it reads: a function does now what its caller
-- has no right to.
do $$
declare
    inner_ones constant text[] := array[
        'bump', 'change_owner', 'doubt_heads', 'end_sessions', 'held_slots', 'hold_term',
        'lead_event_lanes', 'media_gone', 'next_event_seq', 'record_issues', 'record_parked_events',
        'record_parked_messages', 'record_rare'];
    of_masters constant text[] := array[
        'begin_shard_request', 'end_incarnations', 'end_leader', 'end_shard_request',
        'end_slot_holders', 'forget_nodes', 'mark_slots', 'moved_lately', 'name_successors',
        'next_number', 'raise_epochs', 'take_over', 'win_term'];
    of_anybody constant text[] := array[
        'add_media', 'ask_for_gc', 'attempt_failed', 'attempt_spread', 'audit_add', 'beat',
        'beat_with_moves', 'keep_keys', 'keep_unreadable', 'learn_identities', 'receive_cloud',
        'register_node', 'say_leaving', 'sessions', 'share_number', 'status_said', 'stop_number',
        'touch_cloud_path', 'unwritable', 'write_report'];
    needs text;  -- the table that its callers write
    f record;
    guest record;
begin
    for f in select p.oid::regprocedure as name, p.proname from pg_proc p
              where p.pronamespace = current_schema()::regnamespace
                and p.proname in (
                'add_media', 'append_events', 'append_issued', 'append_messages',
                'append_requests', 'ask_for_gc', 'attempt_failed', 'attempt_spread', 'audit_add',
                'beat', 'beat_with_moves', 'begin_shard_request', 'bump', 'change_owner',
                'doubt_heads', 'drain_inbox', 'end_incarnations', 'end_leader', 'end_sessions',
                'end_shard_request', 'end_slot_holders', 'forget_nodes', 'hand_over',
                'held_slots', 'hold_term', 'issue_requests', 'keep_keys', 'keep_unreadable',
                'lead_event_lanes', 'lead_parked', 'learn_identities', 'mark_slots',
                'match_failure', 'match_unmatched', 'media_gone', 'mend_parked', 'moved_lately',
                'name_successors', 'next_event_seq', 'next_number', 'of_template', 'open_issues',
                'open_slots', 'prune', 'prune_cloud', 'prune_history', 'prune_keys',
                'prune_letters', 'quiet_slots', 'raise_epochs', 'receive_cloud', 'record_issues',
                'record_parked_events', 'record_parked_messages', 'record_progress',
                'record_rare', 'register_node', 'release_slots', 'renew_epochs', 'say_leaving',
                'say_word', 'sessions', 'share_number', 'status_said', 'stop_number',
                'switch_upstream', 'take_over', 'take_up_letters', 'tell_owner',
                'touch_cloud_path', 'unwritable', 'win_term', 'word_said', 'write_report')
    loop
        execute format('alter function %s security %s set search_path from current', f.name,
                       case f.proname when 'unwritable' then 'invoker' else 'definer' end);
        needs := case when f.proname = any (of_anybody) then 'beat'
                      when f.proname = any (of_masters) then 'term' else 'message' end;
        for guest in select distinct g.grantee::regrole as name
                       from pg_class c, aclexplode(c.relacl) g
                      where c.oid = needs::regclass and g.grantee not in (0, c.relowner)
                        and g.privilege_type in ('INSERT', 'UPDATE')
                        and f.proname <> all (inner_ones)
        loop
            execute format('grant execute on function %s to %s', f.name, guest.name);
        end loop;
        execute format('revoke execute on function %s from public', f.name);
    end loop;
end $$;
