-- Names successors for slots whose epoch is still the one that the leader saw, and why. Nobody is named who has
-- said that it is leaving: its row is locked, so that it says so before, or finds itself named (see
-- store/beats.py), and a leader whose picture is a little older cannot come between. With p_request it
-- also begins that request and sets the shard count, in the same transaction; nothing is changed
-- when the request was withdrawn. A request that is older than ten seconds, or dated more than ten
-- seconds ahead, is refused instead: nobody waits for it any more. With the Cloud API, where slots
-- that move have to be quiet first, it is forty seconds.
--
-- Called by: store/election.py, begin_shard_request
create function name_successors(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_to uuid[],
    p_reasons text[], p_request uuid, p_shards integer)
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
    update slot o set successor = t.heir, why = t.reason
      from unnest(p_slots, p_epochs, p_to, p_reasons) as t(slot, epoch, heir, reason)
     where o.slot = t.slot and o.epoch = t.epoch
       and not exists (select from node n where n.incarnation = t.heir and n.leaving);
    update shard_map set version = version + 1, shards = coalesce(p_shards, shards),
                         changed_at = clock_timestamp();
    perform pg_notify('warouter', 'map');
end $$;
