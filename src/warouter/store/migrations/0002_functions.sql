-- What owners and leaders write, each in one function and one round trip.

-- Which of the given (slot, epoch) pairs the incarnation owns. Takes the shared slot locks first, in
-- ascending order and as a statement of their own.
create function held_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language plpgsql volatile as $$
declare
    s smallint;
    held smallint[];
begin
    for s in select distinct unnest(p_slots) order by 1 loop
        perform pg_advisory_xact_lock_shared(7703, s);
    end loop;
    select coalesce(array_agg(o.slot), '{}') into held
      from slot o
      join unnest(p_slots, p_epochs) as p(slot, epoch) on p.slot = o.slot and p.epoch = o.epoch
     where o.owner = p_incarnation;
    return held;
end $$;

-- Append a batch of messages. Rows: one per frame that was NOT inserted (1 known, 2 fenced); no
-- rows means that all were. p_slots/p_epochs name what the caller owns, one entry a slot.
create function append_messages(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_id bytea[], p_recipient text[], p_kind smallint[],
    p_body bytea[])
returns table (ordinal integer, outcome smallint) language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    inserted bigint;
begin
    if cardinality(held) = cardinality(p_slots) then
        insert into message (slot, seq, id, recipient, kind, body)
        select * from unnest(p_slot, p_seq, p_id, p_recipient, p_kind, p_body)
        on conflict (id) do nothing;
    else
        insert into message (slot, seq, id, recipient, kind, body)
        select * from unnest(p_slot, p_seq, p_id, p_recipient, p_kind, p_body)
            as f(slot, seq, id, recipient, kind, body)
         where f.slot = any (held)
        on conflict (id) do nothing;
    end if;
    get diagnostics inserted = row_count;
    if inserted = cardinality(p_slot) then
        return;
    end if;
    return query
        select f.n::integer - 1, (case when f.slot = any (held) then 1 else 2 end)::smallint
          from unnest(p_slot, p_seq, p_id) with ordinality as f(slot, seq, id, n)
         where not exists (select 1 from message m
                            where m.slot = f.slot and m.seq = f.seq and m.id = f.id
                              and f.slot = any (held));
end $$;

-- Record progress, all per slot fenced; returns the slots that were held. p_rare (may be null)
-- carries what does not happen per message, as JSON arrays of objects:
--   park         {slot, seq, attempts, delay_ms, reason}      a message that must wait long
--   unpark       {slot, seq}                                  it is settled now
--   park_events, unpark_events                                the same for events
--   dead         {slot, seq, attempts, reason}                an event to the dead letters
create function record_progress(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_send_slot smallint[], p_send_mark bigint[], p_send_ranges text[],
    p_event_slot smallint[], p_event_kind smallint[], p_event_mark bigint[], p_event_ranges text[],
    p_rare jsonb)
returns smallint[] language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    update send_cursor c set mark = p.mark, ranges = p.ranges::bigint[]
      from unnest(p_send_slot, p_send_mark, p_send_ranges) as p(slot, mark, ranges)
     where c.slot = p.slot and p.slot = any (held);
    update event_cursor c set mark = p.mark, ranges = p.ranges::bigint[]
      from unnest(p_event_slot, p_event_kind, p_event_mark, p_event_ranges)
           as p(slot, kind, mark, ranges)
     where c.slot = p.slot and c.kind = p.kind and p.slot = any (held);
    if p_rare is not null then
        perform record_rare(held, p_rare);
    end if;
    return held;
end $$;

create function record_rare(p_held smallint[], p_rare jsonb) returns void language plpgsql volatile as $$
begin
    insert into parked_message (slot, seq, id, recipient, kind, body, attempts, due_at, reason)
    select m.slot, m.seq, m.id, m.recipient, m.kind, m.body,
           p.attempts, clock_timestamp() + p.delay_ms * interval '1 ms', p.reason
      from jsonb_to_recordset(p_rare -> 'park')
           as p(slot smallint, seq bigint, attempts integer, delay_ms bigint, reason text)
      join message m on m.slot = p.slot and m.seq = p.seq
     where p.slot = any (p_held)
    on conflict (slot, seq) do update
       set attempts = excluded.attempts, due_at = excluded.due_at, reason = excluded.reason;
    delete from parked_message m
     using jsonb_to_recordset(p_rare -> 'unpark') as p(slot smallint, seq bigint)
     where m.slot = p.slot and m.seq = p.seq and p.slot = any (p_held);
    insert into parked_event (slot, seq, kind, key, recipient, payload, contact,
                              attempts, due_at, reason)
    select e.slot, e.seq, e.kind, e.key, e.recipient, e.payload, e.contact,
           p.attempts, clock_timestamp() + p.delay_ms * interval '1 ms', p.reason
      from jsonb_to_recordset(p_rare -> 'park_events')
           as p(slot smallint, kind smallint, seq bigint, attempts integer, delay_ms bigint,
                reason text)
      join event e on e.slot = p.slot and e.kind = p.kind and e.seq = p.seq
     where p.slot = any (p_held)
    on conflict (slot, kind, seq) do update
       set attempts = excluded.attempts, due_at = excluded.due_at, reason = excluded.reason;
    -- From the parked table if it was parked, else (a receiver down for days) from the journal.
    insert into dead_letter (slot, seq, kind, key, recipient, payload, contact, attempts, reason)
    select e.slot, e.seq, e.kind, e.key, e.recipient, e.payload, e.contact, p.attempts, p.reason
      from jsonb_to_recordset(p_rare -> 'dead')
           as p(slot smallint, kind smallint, seq bigint, attempts integer, reason text)
      join (select v.slot, v.kind, v.seq, v.key, v.recipient, v.payload, v.contact from parked_event v
            union all
            select v.slot, v.kind, v.seq, v.key, v.recipient, v.payload, v.contact from event v) e
        on e.slot = p.slot and e.kind = p.kind and e.seq = p.seq
     where p.slot = any (p_held)
    on conflict (slot, kind, seq) do nothing;
    delete from parked_event e
     using jsonb_to_recordset(coalesce(p_rare -> 'unpark_events', '[]') || coalesce(p_rare -> 'dead', '[]'))
           as p(slot smallint, kind smallint, seq bigint)
     where e.slot = p.slot and e.kind = p.kind and e.seq = p.seq and p.slot = any (p_held);
end $$;

-- Append events. Rows: one per event that was NOT inserted (1 known, 2 fenced).
create function append_events(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_kind smallint[], p_key text[], p_recipient text[],
    p_payload bytea[], p_contact bytea[])
returns table (ordinal integer, outcome smallint) language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    inserted bigint;
begin
    insert into event (slot, seq, kind, key, recipient, payload, contact)
    select * from unnest(p_slot, p_seq, p_kind, p_key, p_recipient, p_payload, p_contact)
        as f(slot, seq, kind, key, recipient, payload, contact)
     where f.slot = any (held)
    on conflict (key) do nothing;
    get diagnostics inserted = row_count;
    if inserted = cardinality(p_slot) then
        return;
    end if;
    return query
        select f.n::integer - 1, (case when f.slot = any (held) then 1 else 2 end)::smallint
          from unnest(p_slot, p_seq, p_kind, p_key) with ordinality as f(slot, seq, kind, key, n)
         where not exists (select 1 from event e
                            where e.slot = f.slot and e.kind = f.kind and e.seq = f.seq
                              and e.key = f.key
                              and f.slot = any (held));
end $$;

-- The first act of an epoch: one synchronous write under it, and what the owner needs to go on.
create function open_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns table (slot smallint, send_mark bigint, send_ranges bigint[], next_seq bigint,
               status_mark bigint, status_ranges bigint[], next_status_seq bigint,
               inbound_mark bigint, inbound_ranges bigint[], next_inbound_seq bigint)
language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    update send_cursor c set mark = c.mark where c.slot = any (held);
    return query
        select s.slot, s.mark, s.ranges,
               1 + greatest(s.mark, (select max(r) from unnest(s.ranges) r),
                            (select max(m.seq) from message m where m.slot = s.slot),
                            (select max(m.seq) from parked_message m where m.slot = s.slot)),
               e0.mark, e0.ranges, next_event_seq(s.slot, 0::smallint),
               e1.mark, e1.ranges, next_event_seq(s.slot, 1::smallint)
          from send_cursor s
          join event_cursor e0 on e0.slot = s.slot and e0.kind = 0
          join event_cursor e1 on e1.slot = s.slot and e1.kind = 1
         where s.slot = any (held);
end $$;

create function next_event_seq(p_slot smallint, p_kind smallint) returns bigint
language sql volatile as $$
    select 1 + greatest(c.mark, (select max(r) from unnest(c.ranges) r),
                        (select max(e.seq) from event e where e.slot = p_slot and e.kind = p_kind),
                        (select max(e.seq) from parked_event e
                          where e.slot = p_slot and e.kind = p_kind))
      from event_cursor c where c.slot = p_slot and c.kind = p_kind
$$;

-- ---------------------------------------------------------------- nodes

create function register_node(
    p_incarnation uuid, p_name text, p_role text, p_host text, p_port integer, p_link_key bytea,
    p_fingerprint text, p_version text, p_hash_name text, p_hash_version integer, p_pid integer)
returns void language plpgsql volatile as $$
begin
    insert into node (incarnation, name, role, host, port, link_key, fingerprint, version,
                      hash_name, hash_version, pid)
    values (p_incarnation, p_name, p_role, p_host, p_port, p_link_key, p_fingerprint, p_version,
            p_hash_name, p_hash_version, p_pid)
    on conflict (incarnation) do nothing;
    insert into beat (incarnation, counter) values (p_incarnation, 0) on conflict do nothing;
    perform pg_notify('warouter', 'nodes');
end $$;

-- One renewal of a lease. No row: the node's row is gone, register again. ``slots``/``epochs`` are
-- what is renewed; a slot with a successor is listed in ``handing`` and is not renewed. The commit
-- is not waited for: a beat carries nothing that could be lost.
create function beat(p_incarnation uuid, p_upstream_ok boolean)
returns table (slots smallint[], epochs bigint[], handing smallint[], handing_epochs bigint[],
               map_version bigint, settings_version bigint)
language plpgsql volatile as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update beat set counter = counter + 1, upstream_ok = p_upstream_ok
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

-- ---------------------------------------------------------------- leader

-- The lock keeps masters apart; this row is the authority.
create function win_term(p_incarnation uuid) returns bigint language plpgsql volatile as $$
declare
    won bigint;
begin
    perform pg_advisory_xact_lock(7702, 0);
    update term t set term = next_number(t.term), incarnation = p_incarnation,
                      won_at = clock_timestamp()
    returning t.term into won;
    perform pg_notify('warouter', 'term');
    return won;
end $$;

-- First statement of every leader write: WA002 when the term is not the caller's any more.
create function hold_term(p_term bigint, p_incarnation uuid) returns void language plpgsql volatile as $$
begin
    perform pg_advisory_xact_lock_shared(7702, 0);
    if not exists (select 1 from term t where t.term = p_term and t.incarnation = p_incarnation) then
        raise exception 'stale term %', p_term using errcode = 'WA002';
    end if;
end $$;

create function change_owner(
    p_slot smallint, p_to uuid, p_term bigint, p_reason text, p_age_ms integer, p_above bigint)
returns bigint language plpgsql volatile as $$
declare
    was slot;
    raised bigint;
begin
    select * into was from slot s where s.slot = p_slot;
    raised := next_number(greatest(was.epoch, p_above));
    update slot s set owner = p_to, successor = null, epoch = raised where s.slot = p_slot;
    insert into owner_log (slot, from_incarnation, to_incarnation, from_node, to_node, epoch, term,
                           reason, observed_age_ms)
    values (p_slot, was.owner, p_to, (select name from node where incarnation = was.owner),
            (select name from node where incarnation = p_to), raised, p_term, p_reason, p_age_ms);
    return raised;
end $$;

-- Slots change hands by the leader. A slot whose epoch is not the one seen is left alone.
create function take_over(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_to uuid[],
    p_reasons text[], p_ages_ms integer[])
returns smallint[] language plpgsql volatile as $$
declare
    s record;
    moved smallint[] := '{}';
begin
    perform hold_term(p_term, p_incarnation);
    for s in select * from unnest(p_slots, p_epochs, p_to, p_reasons, p_ages_ms)
             as t(slot, epoch, heir, reason, age_ms) order by 1 loop
        perform pg_advisory_xact_lock(7703, s.slot);
        if exists (select 1 from slot o where o.slot = s.slot and o.epoch = s.epoch) then
            perform change_owner(s.slot, s.heir, p_term, s.reason, s.age_ms, 0);
            moved := moved || s.slot;
        end if;
    end loop;
    update shard_map set version = version + 1;
    perform pg_notify('warouter', 'map');
    return moved;
end $$;

-- Name successors (planned moves); with p_request also the new shard count, in one transaction.
create function name_successors(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_to uuid[],
    p_request uuid, p_shards integer)
returns void language plpgsql volatile as $$
begin
    perform hold_term(p_term, p_incarnation);
    update slot o set successor = t.heir
      from unnest(p_slots, p_epochs, p_to) as t(slot, epoch, heir)
     where o.slot = t.slot and o.epoch = t.epoch;
    update shard_map set version = version + 1, shards = coalesce(p_shards, shards),
                         changed_at = clock_timestamp();
    if p_request is not null then
        update shard_request set state = 'running' where id = p_request and state = 'waiting';
    end if;
    perform pg_notify('warouter', 'map');
end $$;

create function end_shard_request(
    p_term bigint, p_incarnation uuid, p_request uuid, p_state text, p_details text)
returns void language plpgsql volatile as $$
begin
    perform hold_term(p_term, p_incarnation);
    update shard_request set state = p_state, details = p_details, ended_at = clock_timestamp()
     where id = p_request;
    perform pg_notify('warouter', 'shards');
end $$;

-- After a change of timeline every epoch is raised once, so that none is handed out twice.
create function raise_epochs(p_term bigint, p_incarnation uuid) returns smallint[]
language plpgsql volatile as $$
declare
    s record;
    raised smallint[] := '{}';
begin
    perform hold_term(p_term, p_incarnation);
    for s in select o.slot, o.owner from slot o
              where o.owner is not null and o.epoch >> 32 < next_number(0) >> 32 order by 1 loop
        perform pg_advisory_xact_lock(7703, s.slot);
        perform pg_advisory_xact_lock(7703, s.slot);
        perform change_owner(s.slot, s.owner, p_term, 'timeline', null, 0);
        raised := raised || s.slot;
    end loop;
    if cardinality(raised) > 0 then
        update shard_map set version = version + 1;
        perform pg_notify('warouter', 'map');
    end if;
    return raised;
end $$;

create function forget_nodes(p_term bigint, p_incarnation uuid, p_gone uuid[]) returns void
language plpgsql volatile as $$
begin
    perform hold_term(p_term, p_incarnation);
    delete from beat where incarnation = any (p_gone);
    delete from node where incarnation = any (p_gone);
end $$;

-- ---------------------------------------------------------------- owner to owner

-- The owner gives named slots to their successors; needs no leader.
create function hand_over(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language plpgsql volatile as $$
declare
    s record;
    moved smallint[] := '{}';
begin
    for s in select * from unnest(p_slots, p_epochs) as t(slot, epoch) order by 1 loop
        perform pg_advisory_xact_lock(7703, s.slot);
    end loop;
    for s in select o.slot, o.successor
               from slot o join unnest(p_slots, p_epochs) as t(slot, epoch)
                 on t.slot = o.slot and t.epoch = o.epoch
              where o.owner = p_incarnation and o.successor is not null order by 1 loop
        perform change_owner(s.slot, s.successor, null, 'handover', null, 0);
        moved := moved || s.slot;
    end loop;
    update shard_map set version = version + 1 where cardinality(moved) > 0;
    perform pg_notify('warouter', 'map');
    return moved;
end $$;

-- The owner stops and nobody is there to succeed it.
create function release_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language plpgsql volatile as $$
declare
    s record;
    freed smallint[] := '{}';
begin
    for s in select * from unnest(p_slots, p_epochs) as t(slot, epoch) order by 1 loop
        perform pg_advisory_xact_lock(7703, s.slot);
    end loop;
    for s in select o.slot from slot o join unnest(p_slots, p_epochs) as t(slot, epoch)
                 on t.slot = o.slot and t.epoch = o.epoch
              where o.owner = p_incarnation order by 1 loop
        perform change_owner(s.slot, null, null, 'released', null, 0);
        freed := freed || s.slot;
    end loop;
    update shard_map set version = version + 1 where cardinality(freed) > 0;
    perform pg_notify('warouter', 'map');
    return freed;
end $$;

-- An owner that does not know what became of a commit goes on only under a new epoch of its own.
create function renew_epochs(p_incarnation uuid, p_slots smallint[], p_above bigint[])
returns table (slot smallint, epoch bigint) language plpgsql volatile as $$
declare
    s record;
begin
    for s in select x from unnest(p_slots) x order by 1 loop
        perform pg_advisory_xact_lock(7703, s.x);
    end loop;
    for s in select t.number, t.above from unnest(p_slots, p_above) as t(number, above)
               join slot o on o.slot = t.number
              where o.owner = p_incarnation and o.successor is null order by 1 loop
        return query select s.number,
            change_owner(s.number, p_incarnation, null, 'renew', null, s.above);
    end loop;
    update shard_map set version = version + 1;
    perform pg_notify('warouter', 'map');
end $$;

-- ---------------------------------------------------------------- retention

-- Delete a few settled rows older than the cutoff; returns how many. Only the oldest p_limit rows
-- are looked at, so a journal where nothing is old enough costs nothing. Nothing younger than ten
-- minutes goes, so a re-offered id is always recognised.
create function prune(p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
                      p_age interval, p_limit integer)
returns bigint language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    cutoff timestamptz := clock_timestamp() - greatest(p_age, interval '10 minutes');
    s smallint;
    deleted bigint;
    total bigint := 0;
begin
    foreach s in array held loop
        delete from message m where m.slot = s and m.seq in (
            select f.seq from (
                select x.seq, x.accepted_at from message x
                 where x.slot = s and x.seq <= (select mark from send_cursor c where c.slot = s)
                 order by x.seq limit p_limit) f
             where f.accepted_at < cutoff);
        get diagnostics deleted = row_count;
        total := total + deleted;
        for k in 0..1 loop
            delete from event e where e.slot = s and e.kind = k and e.seq in (
                select f.seq from (
                    select x.seq, x.recorded_at from event x
                     where x.slot = s and x.kind = k and x.seq <= (
                         select mark from event_cursor c where c.slot = s and c.kind = k)
                     order by x.seq limit p_limit) f
                 where f.recorded_at < cutoff);
            get diagnostics deleted = row_count;
            total := total + deleted;
        end loop;
    end loop;
    return total;
end $$;
