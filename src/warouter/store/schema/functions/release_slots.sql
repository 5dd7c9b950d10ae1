-- Leaves slots without an owner, because their owner stops and nobody is there to succeed it.
-- Returns the slots that the caller owned under these epochs.
--
-- Called by: store/journal/slots.py
create function release_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language plpgsql volatile
security definer set search_path from current as $$
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
