-- runs with: 11
--
-- Nobody is given slots any more who has said that it is leaving, not even by a leader whose picture
-- is a little older: a spare could end in the moment in which it was named, and what was handed over
-- to it was taken for that of a dead owner. The functions keep their owner and their rights.

-- Names successors for slots whose epoch is still the one that the leader saw. Nobody is named who has
-- said that it is leaving: its row is locked, so that it says so before, or finds itself named (see
-- store/beats.py), and a leader whose picture is a little older cannot come between. With p_request it
-- also begins that request and sets the shard count, in the same transaction; nothing is changed
-- when the request was withdrawn. A request that is older than ten seconds, or dated more than ten
-- seconds ahead, is refused instead: nobody waits for it any more. With the Cloud API, where slots
-- that move have to be quiet first, it is forty seconds.
--
-- Called by: name_successors
create or replace function name_successors(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_to uuid[],
    p_request uuid, p_shards integer)
returns void language plpgsql volatile
security definer set search_path from current as $$
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
    perform from node n where n.incarnation = any (p_to) order by n.incarnation for share;
    update slot o set successor = t.heir
      from unnest(p_slots, p_epochs, p_to) as t(slot, epoch, heir)
     where o.slot = t.slot and o.epoch = t.epoch
       and not exists (select from node n where n.incarnation = t.heir and n.leaving);
    update shard_map set version = version + 1, shards = coalesce(p_shards, shards),
                         changed_at = clock_timestamp();
    perform pg_notify('warouter', 'map');
end $$;

-- Gives slots to other owners, by the leader. A slot whose epoch is not the one that the leader saw
-- is left alone, and so is one for an heir that has said that it is leaving (see name_successors).
-- Returns the slots that moved. Each slot's lock is taken exclusively, in ascending order, so no write
-- of the old owner is under way when the slot moves.
--
-- Called by: store/election.py
create or replace function take_over(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_to uuid[],
    p_reasons text[], p_ages_ms integer[])
returns smallint[] language plpgsql volatile
security definer set search_path from current as $$
declare
    s record;
    moved smallint[] := '{}';
begin
    perform hold_term(p_term, p_incarnation);
    perform from node n where n.incarnation = any (p_to) order by n.incarnation for share;
    for s in select * from unnest(p_slots, p_epochs, p_to, p_reasons, p_ages_ms)
             as t(slot, epoch, heir, reason, age_ms) order by 1 loop
        perform pg_advisory_xact_lock(7703, s.slot);
        if exists (select 1 from slot o where o.slot = s.slot and o.epoch = s.epoch)
           and not exists (select from node n where n.incarnation = s.heir and n.leaving) then
            perform change_owner(s.slot, s.heir, p_term, s.reason, s.age_ms, 0);
            moved := moved || s.slot;
        end if;
    end loop;
    update shard_map set version = version + 1;
    perform pg_notify('warouter', 'map');
    return moved;
end $$;
