-- runs with: 11
--
-- A request for another shard count is begun or given up in its own row, and whoever comes second
-- loses: a leader that looked before it was given up changes nothing any more. Nobody waits for one
-- for longer than ten seconds (a webapp gives up after three), so that one whose webapp died is
-- taken up within that time or never. A clock that was set back does not make it young again.

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
                                 between interval '-10 s' and interval '10 s'
                            then 'running' else 'refused' end as state
                  from shard_request q where q.id = p_request) t
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

-- As before; a reason is that of a successor that was named, also by a request that was not begun.
create or replace function name_successors(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_to uuid[],
    p_reasons text[], p_request uuid, p_shards integer)
returns void language plpgsql volatile as $$
begin
    perform name_successors(p_term, p_incarnation, p_slots, p_epochs, p_to, p_request, p_shards);
    update slot o set why = t.reason
      from unnest(p_slots, p_epochs, p_to, p_reasons) as t(slot, epoch, heir, reason)
     where o.slot = t.slot and o.epoch = t.epoch and o.successor = t.heir;
end $$;

-- Whether the request was begun; if so, with its successors and the new count, in one transaction.
create function begin_shard_request(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_to uuid[],
    p_reasons text[], p_request uuid, p_shards integer)
returns boolean language plpgsql volatile as $$
begin
    perform name_successors(p_term, p_incarnation, p_slots, p_epochs, p_to, p_reasons, p_request,
                            p_shards);
    return exists (select from shard_request r where r.id = p_request and r.state = 'running');
end $$;
