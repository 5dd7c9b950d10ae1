-- runs with: 11
--
-- Whoever changes an owner across a timeline makes the slot unsure, also an owner that renews its epoch before a
-- leader raises it; and where commits may be lost, what has an issue row, and what is behind a held message, counts
-- as issued too.

-- Gives a slot to another owner, or to nobody (null): a new epoch, no successor, and a row in
-- owner_log that says from whom, to whom and why. Returns the new epoch, which is greater than the
-- old one and than p_above.
--
-- A slot that is to move stays marked while its owner stays the same (a renewal): the new epoch begins
-- no request either, and whether one is out is to be said anew.
--
-- A handover is logged with the reason for which its successor was named. A slot that had to be
-- taken by force ('overdue') from an owner that cannot write its journal is logged with 'journal'.
--
-- Across a change of the database's timeline commits of the last owner may be lost, whoever changes it
-- and why: the slot is unsure from then on, until an owner has said what may be out (doubt_heads).
--
-- The caller holds the slot's lock exclusively (class 7703) and has checked its right to do this.
--
-- Called by: take_over, raise_epochs, hand_over, release_slots, renew_epochs,
--   switch_upstream
create or replace function change_owner(
    p_slot smallint, p_to uuid, p_term bigint, p_reason text, p_age_ms integer, p_above bigint)
returns bigint language plpgsql volatile
security definer set search_path from current as $$
declare
    was slot;
    raised bigint;
begin
    select * into was from slot s where s.slot = p_slot;
    raised := next_number(greatest(was.epoch, p_above));
    update slot s set owner = p_to, successor = null, why = null, epoch = raised,
                      moving = case when p_to = was.owner then least(was.moving, 1) else 0 end,
                      unsure = was.unsure or was.epoch > 0 and raised >> 32 > was.epoch >> 32
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

-- After a change of the database's timeline: raises every epoch of an earlier timeline once, so
-- that none is given out twice. Owners stay, and find out what may have been lost. Returns the slots.
-- An owner may have renewed its epoch meanwhile, or somebody may own the slot: whether it is to be raised, and
-- who owns it, is read once its lock is held.
--
-- Called by: store/election.py
create or replace function raise_epochs(p_term bigint, p_incarnation uuid) returns smallint[]
language plpgsql volatile
security definer set search_path from current as $$
declare
    s record;
    keeper uuid;
    raised smallint[] := '{}';
begin
    perform hold_term(p_term, p_incarnation);
    for s in select o.slot from slot o
              where o.owner is not null and o.epoch >> 32 < next_number(0) >> 32 order by 1 loop
        perform pg_advisory_xact_lock(7703, s.slot);
        select o.owner into keeper from slot o
         where o.slot = s.slot and o.epoch >> 32 < next_number(0) >> 32;
        if keeper is not null then
            perform change_owner(s.slot, keeper, p_term, 'timeline', null, 0);
            raised := raised || s.slot;
        end if;
    end loop;
    if cardinality(raised) > 0 then
        update shard_map set version = version + 1;
        perform pg_notify('warouter', 'map');
    end if;
    return raised;
end $$;

-- After commits of these slots may have been lost, and issue rows among them: whatever may have been out
-- counts as issued. That is the next request of each message with an issue row, unless it is held; and
-- each message without one that may have been at the head of its recipient's lane, of the first 2,000 that
-- are not settled, which is what an owner has in memory, and the parked ones.
--
-- A held message stays held, and so does one that others have overtaken stay aside: neither is in its
-- lane any more, so the head is the next one. The attempt is above any that was made: no reference is used
-- twice (999 is the last).
--
-- Called by: open_issues
create or replace function doubt_heads(p_slots smallint[]) returns void
language plpgsql volatile
security definer set search_path from current as $$
begin
    update send_issue s
       set attempt = greatest(s.attempt, least(s.attempt + 100, 900)),
           doubts = s.doubts + case when s.state = 3 then 0 else 1 end,
           at = case when s.state = 3 then s.at else clock_timestamp() end,
           cause = case when s.state = 3 then s.cause else 'timeline' end,
           state = case when s.state = 3 then 3 else 2 end
      from (select i.slot, i.seq from send_issue i
             where i.slot = any (p_slots) order by i.slot, i.seq for update) i
     where s.slot = i.slot and s.seq = i.seq;
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
     order by h.slot, h.recipient, h.seq
    on conflict (slot, seq) do nothing;
    update slot s set unsure = false where s.slot = any (p_slots) and s.unsure;
end $$;

-- The requests of the held slots that an owner before this one may have begun: whatever was issued is
-- in doubt from now on, what was in doubt keeps its time. Returns each with its message, with the id
-- of an attempt that is known to have been taken, if any, and with its age in seconds. Where commits
-- may have been lost (slot.unsure) more counts as issued: doubt_heads says what.
--
-- max(wamid || ''): without that a server that has not counted yet reads all wamids from the last one
-- down, for each row.
--
-- Called by: store/journal/issues.py
create or replace function open_issues(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns table (slot smallint, seq bigint, id bytea, recipient text, attempt smallint,
               doubts smallint, state smallint, age float8, cause text,
               kind smallint, body bytea, ttl integer, message_age float8, wamid text)
language plpgsql volatile
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    if exists (select from slot o where o.slot = any (held) and o.unsure) then
        perform doubt_heads(array(select o.slot from slot o where o.slot = any (held) and o.unsure));
    end if;
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
