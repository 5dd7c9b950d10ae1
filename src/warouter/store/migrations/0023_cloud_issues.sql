-- runs with: 11
--
-- Requests to the Cloud API: issued before they begin, settled in the commit that says what became of
-- them, found by the next owner; and the inbox of webhooks, drained by owners.

-- Appends a batch of messages as append_messages does, and in the same commit the issue row of each
-- whose request may begin right after it; those are named once more in the p_issue columns. Where a
-- message was not simply inserted no issue row is written at all.
create function append_issued(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_id bytea[], p_recipient text[], p_kind smallint[],
    p_body bytea[],
    p_issue_slot smallint[], p_issue_seq bigint[], p_issue_id bytea[], p_issue_recipient text[])
returns table (ordinal integer, outcome smallint) language plpgsql volatile as $$
begin
    return query
        select * from append_messages(p_incarnation, p_slots, p_epochs, p_slot, p_seq, p_id,
                                      p_recipient, p_kind, p_body);
    if not found then
        insert into send_issue (slot, seq, id, recipient, attempt, state)
        select f.slot, f.seq, f.id, f.recipient, 1, 1
          from unnest(p_issue_slot, p_issue_seq, p_issue_id, p_issue_recipient)
               as f(slot, seq, id, recipient)
        on conflict (slot, seq) do nothing;
    end if;
end $$;

-- Writes the issue rows of requests that are to begin. Returns one row for each that may not: outcome
-- 2 is fenced (the caller does not own the slot under that epoch), 6 means that there is evidence of
-- an earlier attempt, so that nothing is sent any more.
--
-- p_doubts are the attempts before this one that may have been taken. Evidence of them may have come
-- in since the window ended, so it is looked for here, in the transaction of the issue: in
-- upstream_id, and in what webhooks and former owners have said.
create function issue_requests(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_id bytea[], p_recipient text[], p_attempt smallint[],
    p_doubts smallint[])
returns table (ordinal integer, outcome smallint) language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    known bytea[];
begin
    select coalesce(array_agg(f.id), '{}') into known
      from unnest(p_id, p_doubts) as f(id, doubts)
     where f.doubts > 0
       and (exists (select from upstream_id u where u.id = f.id)
            or exists (select from cloud_inbox i
                        where i.id = f.id and (i.kind = 0 or i.kind = 2 and i.wamid is not null)));
    insert into send_issue as s (slot, seq, id, recipient, attempt, doubts, state)
    select f.slot, f.seq, f.id, f.recipient, f.attempt, f.doubts, 1
      from unnest(p_slot, p_seq, p_id, p_recipient, p_attempt, p_doubts)
           as f(slot, seq, id, recipient, attempt, doubts)
     where f.slot = any (held) and f.id <> all (known)
     order by f.slot, f.seq
    on conflict (slot, seq) do update
       set attempt = excluded.attempt, doubts = excluded.doubts, state = 1, cause = null,
           at = clock_timestamp();
    return query
        select f.n::integer - 1, (case when f.slot = any (held) then 6 else 2 end)::smallint
          from unnest(p_slot, p_id) with ordinality as f(slot, id, n)
         where f.slot <> all (held) or f.id = any (known);
end $$;

-- The requests of the held slots that an owner before this one may have begun: whatever was issued is
-- in doubt from now on, what was in doubt keeps its time. Returns each with its message, with the id
-- of an attempt that is known to have been taken, if any, and with its age in seconds.
create function open_issues(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns table (slot smallint, seq bigint, id bytea, recipient text, attempt smallint,
               doubts smallint, state smallint, age float8, cause text,
               kind smallint, body bytea, ttl integer, message_age float8, wamid text)
language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    update send_issue s
       set state = 2, doubts = s.doubts + 1, at = clock_timestamp(), cause = 'takeover'
      from (select i.slot, i.seq from send_issue i
             where i.slot = any (held) and i.state = 1 order by i.slot, i.seq for update) i
     where s.slot = i.slot and s.seq = i.seq;
    return query
        select s.slot, s.seq, s.id, s.recipient, s.attempt, s.doubts, s.state,
               greatest(extract(epoch from clock_timestamp() - s.at), 0)::float8, s.cause,
               m.kind, m.body, m.ttl,
               greatest(extract(epoch from clock_timestamp() - m.accepted_at), 0)::float8,
               (select max(u.wamid || '') from upstream_id u where u.id = s.id)
          from send_issue s
          left join message m on m.slot = s.slot and m.seq = s.seq
         where s.slot = any (held)
         order by s.slot, s.seq;
end $$;

-- The part of record_rare for requests to the Cloud API, for the slots in p_held:
--
--   took     {slot, seq, id, attempt, wamid, wa_id, user_id, held}   a request that was taken: its ids are
--            kept; with a seq its message is settled by it, and its issue row goes
--   issues   {slot, seq, attempt, state, doubts, cause}         what became of a request; nothing if a
--            later attempt was issued meanwhile
--   unissue  {slot, seq, attempt}                               the issue row goes; with an attempt only
--            if that is the last one
--
-- Ids are in hex. Rows are written in their order, as the drain writes some of the same.
create function record_issues(p_held smallint[], p_rare jsonb) returns void
language plpgsql volatile as $$
begin
    update send_issue s
       set state = i.state, doubts = i.doubts, cause = i.cause,
           at = case when s.state = 2 and i.state = 2 then s.at else clock_timestamp() end
      from jsonb_to_recordset(p_rare -> 'issues')
           as i(slot smallint, seq bigint, attempt smallint, state smallint, doubts smallint,
                cause text)
     where s.slot = i.slot and s.seq = i.seq and s.attempt = i.attempt and i.slot = any (p_held);
    delete from send_issue s
     using jsonb_to_recordset(coalesce(p_rare -> 'took', '[]') || coalesce(p_rare -> 'unissue', '[]'))
           as i(slot smallint, seq bigint, attempt smallint, wamid text)
     where s.slot = i.slot and s.seq = i.seq and i.slot = any (p_held)
       and (i.wamid is not null or i.attempt is null or i.attempt = s.attempt);
    insert into upstream_id (wamid, slot, id, attempt, wa_id, user_id, held)
    select i.wamid, i.slot, decode(i.id, 'hex'), i.attempt, i.wa_id, i.user_id,
           coalesce(i.held, false)
      from jsonb_to_recordset(p_rare -> 'took')
           as i(slot smallint, id text, attempt smallint, wamid text, wa_id text, user_id text,
                held boolean)
     where i.slot = any (p_held)
     order by i.wamid
    on conflict (wamid) do nothing;
end $$;

-- Deletes rows of the inbox that are in the journals now, or never will be, for the held slots, and
-- keeps what they prove: the ids of attempts that were taken, and which of them have failed. That is
-- the evidence which any later owner finds.
--
-- Returns the attempts of these messages that were taken beside another one, as this incarnation was
-- the first to be told; again each time, as it may not have heard the last answer. Which one is beside
-- the other is said by the order in which they were recorded, so that all but one of a message count.
create function drain_inbox(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_n bigint[],
    p_wamid text[], p_slot smallint[], p_id bytea[], p_attempt smallint[], p_wa_id text[],
    p_user_id text[], p_held boolean[], p_failed boolean[])
returns table (id bytea, attempt smallint, wamid text) language plpgsql volatile as $$
declare
    mine smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    insert into upstream_id (wamid, slot, id, attempt, wa_id, user_id, held)
    select distinct on (f.wamid)
           f.wamid, f.slot, f.id, f.attempt, f.wa_id, f.user_id, f.held
      from unnest(p_wamid, p_slot, p_id, p_attempt, p_wa_id, p_user_id, p_held)
           as f(wamid, slot, id, attempt, wa_id, user_id, held)
     where f.slot = any (mine)
     order by f.wamid
    on conflict on constraint upstream_id_pkey do nothing;
    if true = any (p_failed) then
        update upstream_id u set failed = true
          from unnest(p_wamid, p_failed) as f(wamid, failed)
         where f.failed and u.wamid = f.wamid and u.slot = any (mine);
    end if;
    update upstream_id u set twice = p_incarnation
      from (select distinct unnest(p_id) as id) f
     where u.id = f.id and u.slot = any (mine) and u.twice is null
       and exists (select from upstream_id o
                    where o.id = u.id and (o.at, o.wamid collate "C") < (u.at, u.wamid));
    delete from cloud_inbox i where i.n = any (p_n) and i.slot = any (mine);
    return query
        select u.id, u.attempt, u.wamid from upstream_id u
         where u.id = any (p_id) and u.twice = p_incarnation;
end $$;

-- The rare part of record_progress, for the slots in p_held.
create or replace function record_rare(p_held smallint[], p_rare jsonb) returns void
language plpgsql volatile as $$
begin
    if p_rare ?| array['park', 'unpark'] then
        perform record_parked_messages(p_held, p_rare);
    end if;
    if p_rare ?| array['park_events', 'unpark_events', 'dead'] then
        perform record_parked_events(p_held, p_rare);
    end if;
    if p_rare ?| array['took', 'issues', 'unissue'] then
        perform record_issues(p_held, p_rare);
    end if;
end $$;

-- Deletes settled rows that are older than p_age from the journals of the held slots; returns how
-- many. Nothing younger than ten minutes is deleted, so that an id that is offered again is always
-- recognised. A message of which a request may still be out, or is held, stays, and with the Cloud API
-- so do events of the last 8 days: webhooks are repeated for 7. Only the oldest p_limit rows of a slot and journal are looked at, so that it costs
-- nothing where nothing is old enough.
--
-- The settings make every plan go by the primary keys, however many rows there were at the last
-- ANALYZE.
create or replace function prune(p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
                                 p_age interval, p_limit integer)
returns bigint language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    cutoff timestamptz := clock_timestamp() - greatest(p_age, interval '10 minutes');
    heard timestamptz := least(cutoff, clock_timestamp() - (
        select case when f.upstream = 'simulator' then interval '0' else interval '8 days' end
          from format f));
    s smallint;
    settled bigint;
    seqs bigint[];
    total bigint := 0;
begin
    foreach s in array held loop
        select c.mark into settled from send_cursor c where c.slot = s;
        select array_agg(f.seq) into seqs
          from (select x.seq, x.accepted_at from message x
                 where x.slot = s and x.seq <= settled order by x.slot, x.seq limit p_limit) f
         where f.accepted_at < cutoff
           and not exists (select from send_issue i where i.slot = s and i.seq = f.seq);
        delete from message m where m.slot = s and m.seq = any (seqs);
        total := total + coalesce(cardinality(seqs), 0);
        for k in 0..1 loop
            select c.mark into settled from event_cursor c where c.slot = s and c.kind = k;
            select array_agg(f.seq) into seqs
              from (select x.seq, x.recorded_at from event x
                     where x.slot = s and x.kind = k and x.seq <= settled
                     order by x.slot, x.kind, x.seq limit p_limit) f
             where f.recorded_at < heard;
            delete from event e where e.slot = s and e.kind = k and e.seq = any (seqs);
            total := total + coalesce(cardinality(seqs), 0);
        end loop;
    end loop;
    return total;
end $$;
