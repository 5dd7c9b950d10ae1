-- runs with: 11
--
-- More evidence: statuses that came before their id was known, failures without a reference; and what
-- is in doubt after commits may have been lost.

-- Commits of the last owner may be gone: a standby was promoted that had not heard of them.
alter table slot add column unsure boolean not null default false;

-- Statuses without a reference whose wamid turned out to be one of ours, for the held slots: into the
-- inbox. Returns the failures of the last p_seconds that are still nobody's, newest first: one of
-- them may be of a message in doubt.
create function match_unmatched(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_seconds float8, p_limit integer)
returns table (key text, wamid text, recipient text, payload bytea)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    mine smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    with known as (
        delete from cloud_unmatched m
         using (select f.key, u.slot, u.id, u.attempt
                  from (select c.key, c.wamid from cloud_unmatched c
                         where c.at > clock_timestamp() - interval '1 hour'
                         order by c.at desc limit p_limit) f
                  join upstream_id u on u.wamid = f.wamid
                 where u.slot = any (mine)) k
         where m.key = k.key
        returning k.slot, m.key, k.id, k.attempt, m.wamid, m.recipient, m.payload)
    insert into cloud_inbox (slot, kind, key, id, attempt, wamid, recipient, payload)
    select k.slot, 0, k.key, k.id, k.attempt, k.wamid, k.recipient, k.payload
      from known k order by k.key collate "C"
    on conflict (key) do nothing;
    return query
        select m.key, m.wamid, m.recipient, m.payload from cloud_unmatched m
         where m.at > clock_timestamp() - p_seconds * interval '1 second'
           and m.key like '%:failed:%'
         order by m.at desc limit p_limit;
end $$;

-- A failure that has neither a reference nor a known wamid is of this message, as its owner has found:
-- its only one to that recipient that may be out. It goes to the inbox, where it counts as any other.
create function match_failure(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_key text, p_slot smallint,
    p_id bytea, p_attempt smallint)
returns void language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    if not p_slot = any (held) then
        return;
    end if;
    with found as (
        delete from cloud_unmatched m where m.key = p_key
        returning m.key, m.wamid, m.recipient, m.payload)
    insert into cloud_inbox (slot, kind, key, id, attempt, wamid, recipient, payload)
    select p_slot, 0, f.key, p_id, p_attempt, f.wamid, f.recipient, f.payload from found f
    on conflict (key) do nothing;
end $$;

-- After commits of these slots may have been lost, and issue rows among them: each message that may
-- have been at the head of its recipient's lane counts as issued. The first 2,000 that are not
-- settled, which is what an owner has in memory, and the parked ones.
--
-- The attempt is above any that was made: no reference is used twice.
create function doubt_heads(p_slots smallint[]) returns void
language plpgsql volatile as $$
begin
    insert into send_issue (slot, seq, id, recipient, attempt, doubts, state, cause)
    select distinct on (h.slot, h.recipient)
           h.slot, h.seq, h.id, h.recipient, 100, 1, 2, 'timeline'
      from unnest(p_slots) s(slot),
           lateral (
               (select m.slot, m.seq, m.id, m.recipient
                  from send_cursor c
                  join lateral (select * from message f
                                 where f.slot = c.slot and f.seq > c.mark
                                 order by f.seq limit 2000) m on true
                 where c.slot = s.slot and m.kind & 7 <> 1
                   and not exists (select from generate_subscripts(c.ranges, 1) i
                                    where i % 2 = 1
                                      and m.seq between c.ranges[i] and c.ranges[i + 1]))
               union all
               (select p.slot, p.seq, p.id, p.recipient from parked_message p
                 where p.slot = s.slot and p.kind & 7 <> 1 and p.look_at is not null
                 order by p.look_at limit 5000)) h
     where not exists (select from send_issue i
                        where i.slot = h.slot and i.recipient = h.recipient)
     order by h.slot, h.recipient, h.seq
    on conflict (slot, seq) do nothing;
    update slot s set unsure = false where s.slot = any (p_slots) and s.unsure;
end $$;

-- The requests of the held slots that an owner before this one may have begun: whatever was issued is
-- in doubt from now on, what was in doubt keeps its time. Returns each with its message, with the id
-- of an attempt that is known to have been taken, if any, and with its age in seconds. Where commits
-- may have been lost (slot.unsure) so are the heads of all lanes.
create or replace function open_issues(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
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
    if exists (select from slot o where o.slot = any (held) and o.unsure) then
        perform doubt_heads(array(select o.slot from slot o where o.slot = any (held) and o.unsure));
    end if;
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

-- After a change of the database's timeline: raises every epoch of an earlier timeline once, so
-- that none is given out twice. Owners stay, and find out what may have been lost. Returns the slots.
create or replace function raise_epochs(p_term bigint, p_incarnation uuid) returns smallint[]
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
        update slot o set unsure = true where o.slot = s.slot;
        raised := raised || s.slot;
    end loop;
    if cardinality(raised) > 0 then
        update shard_map set version = version + 1;
        perform pg_notify('warouter', 'map');
    end if;
    return raised;
end $$;
