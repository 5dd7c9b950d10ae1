-- runs with: 11
--
-- Planned moves that leave no doubt, and which upstream a database has: slots that move are quiet
-- before their successors are named, and only coreapps with the database's upstream own slots.

-- Builds before this one say nothing of it.
alter table node alter column upstream drop not null, alter column upstream drop default;
update node set upstream = null;

-- Does the same, with the upstream that the process is set to.
create function register_node(
    p_incarnation uuid, p_name text, p_role text, p_host text, p_port integer, p_link_key bytea,
    p_fingerprint text, p_version text, p_hash_name text, p_hash_version integer, p_pid integer,
    p_upstream text)
returns void language plpgsql volatile as $$
begin
    perform register_node(p_incarnation, p_name, p_role, p_host, p_port, p_link_key, p_fingerprint,
                          p_version, p_hash_name, p_hash_version, p_pid);
    update node n set upstream = p_upstream
     where n.incarnation = p_incarnation and n.upstream is distinct from p_upstream;
end $$;

-- Renews the lease of an owner as beat does, and lists in `moving` those of its slots that are to move:
-- it begins no request for them.
create function beat_with_moves(p_incarnation uuid, p_upstream_ok boolean, p_unreached uuid[],
                                p_journal_ok boolean, p_owns boolean)
returns table (slots smallint[], epochs bigint[], handing smallint[], handing_epochs bigint[],
               map_version bigint, settings_version bigint, auth_version bigint, moving smallint[])
language plpgsql volatile as $$
begin
    return query
        select b.*, array(select s.slot from slot s
                           where s.owner = p_incarnation and s.moving > 0 order by s.slot)
          from beat(p_incarnation, p_upstream_ok, p_unreached, p_journal_ok, p_owns) b;
end $$;

-- Marks slots that are to move (p_moving 1: their owner begins no request any more), or takes the mark
-- back (0), by the leader. A slot whose epoch is not the one that the leader saw, or that has a
-- successor, is left alone. With p_request it also tells who waits for that request that it was taken
-- up, and begins as soon as these slots are quiet.
create function mark_slots(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_moving smallint[],
    p_request uuid)
returns void language plpgsql volatile as $$
begin
    perform hold_term(p_term, p_incarnation);
    perform from slot o where o.slot = any (p_slots) order by o.slot for update;
    update slot o set moving = t.moving
      from unnest(p_slots, p_epochs, p_moving) as t(slot, epoch, moving)
     where o.slot = t.slot and o.epoch = t.epoch and o.successor is null
       and (o.moving > 0) <> (t.moving > 0);
    update shard_request r set details = 'taken up'
     where r.id = p_request and r.state = 'waiting';
    update shard_map set version = version + 1;
    perform pg_notify('warouter', 'map');
end $$;

-- Says, by their owner, that of these slots no request is out any more, where they are marked to move.
-- Returns those of which that is said now. It waits for no leader that writes a slot's row just now:
-- the owner says it again.
create function quiet_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    quiet smallint[];
begin
    with free as (
        select o.slot from slot o
         where o.slot = any (held) and o.moving = 1 and o.successor is null
         order by o.slot for update skip locked),
         said as (
        update slot o set moving = 2 from free f where o.slot = f.slot returning o.slot)
    select coalesce(array_agg(said.slot), '{}') into quiet from said;
    if cardinality(quiet) > 0 then
        update shard_map set version = version + 1;
        perform pg_notify('warouter', 'map');
    end if;
    return quiet;
end $$;

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
-- The caller holds the slot's lock exclusively (class 7703) and has checked its right to do this.
create or replace function change_owner(
    p_slot smallint, p_to uuid, p_term bigint, p_reason text, p_age_ms integer, p_above bigint)
returns bigint language plpgsql volatile as $$
declare
    was slot;
    raised bigint;
begin
    select * into was from slot s where s.slot = p_slot;
    raised := next_number(greatest(was.epoch, p_above));
    update slot s set owner = p_to, successor = null, why = null, epoch = raised,
                      moving = case when p_to = was.owner then least(was.moving, 1) else 0 end
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

-- Names successors for slots whose epoch is still the one that the leader saw. With p_request it
-- also begins that request and sets the shard count, in the same transaction; nothing is changed
-- when the request was withdrawn. A request that is older than ten seconds, or dated more than ten
-- seconds ahead, is refused instead: nobody waits for it any more. With the Cloud API, where slots
-- that move have to be quiet first, it is forty seconds.
create or replace function name_successors(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_to uuid[],
    p_request uuid, p_shards integer)
returns void language plpgsql volatile as $$
declare
    began text;
begin
    perform hold_term(p_term, p_incarnation);
    if p_request is not null then
        update shard_request r
           set state = t.state,
               details = case t.state when 'refused' then 'nobody waits for it any more' end,
               ended_at = case t.state when 'refused' then clock_timestamp() end
          from (select case when clock_timestamp() - q.requested_at
                                 between -w.longest and w.longest
                            then 'running' else 'refused' end as state
                  from shard_request q,
                       (select case when f.upstream = 'simulator' then interval '10 s'
                                    else interval '40 s' end as longest from format f) w
                 where q.id = p_request) t
         where r.id = p_request and r.state = 'waiting'
        returning r.state into began;
        if began is distinct from 'running' then
            return;
        end if;
    end if;
    update slot o set successor = t.heir
      from unnest(p_slots, p_epochs, p_to) as t(slot, epoch, heir)
     where o.slot = t.slot and o.epoch = t.epoch;
    update shard_map set version = version + 1, shards = coalesce(p_shards, shards),
                         changed_at = clock_timestamp();
    perform pg_notify('warouter', 'map');
end $$;

-- Gives the database another upstream: every slot is left without an owner, under a new epoch, so that
-- no process that is set to the old one can write for it any more, and leaders name only those that
-- are set to the new one. Returns how many messages are not settled (at most 10,000 are counted) and how
-- many of those are parked; beside them, how many the Cloud API may have taken and how many are held. If
-- there are any nothing is changed, unless p_force: then the first go to the new upstream, and all
-- others are held until an operator decides.
--
-- An issue row stays until its message is settled, also where surely nothing was taken: no attempt is
-- made twice.
create function switch_upstream(p_upstream text, p_force boolean)
returns table (unsettled bigint, parked bigint, doubtful bigint, held bigint)
language plpgsql volatile as $$
declare
    s smallint;
begin
    for s in select generate_series(0, 31) loop
        perform pg_advisory_xact_lock(7703, s);
    end loop;
    select count(*) filter (where i.state <> 3), count(*) filter (where i.state = 3)
      into doubtful, held
      from send_issue i where i.state <> 4 or i.doubts > 0;
    select count(*), count(*) filter (where w.is_parked) into unsettled, parked from (
        select m.slot, m.seq, false as is_parked
          from send_cursor c join message m on m.slot = c.slot and m.seq > c.mark
         where not exists (select from generate_series(1, cardinality(c.ranges), 2) i
                            where m.seq between c.ranges[i] and c.ranges[i + 1])
        union all
        select p.slot, p.seq, true from parked_message p
        limit 10000) w
     where not exists (select from send_issue i
                        where i.slot = w.slot and i.seq = w.seq and (i.state <> 4 or i.doubts > 0));
    if p_force or (unsettled, doubtful, held) = (0, 0, 0) then
        for s in select generate_series(0, 31) loop
            perform change_owner(s, null, null, 'switch', null, 0);
        end loop;
        update send_issue i set state = 3, at = clock_timestamp(), cause = coalesce(i.cause, 'switch')
         where i.state <> 3 and (i.state <> 4 or i.doubts > 0);
        update format set upstream = p_upstream;
        update shard_map set version = version + 1;
        perform pg_notify('warouter', 'map');
    end if;
    return next;
end $$;
