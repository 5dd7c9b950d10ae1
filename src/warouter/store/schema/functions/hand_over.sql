-- Gives the slots to the successors that the leader has named; needs no leader. Returns the slots
-- that went: those that the caller owns under these epochs and that have a successor.
--
-- Called by: store/journal/slots.py
create function hand_over(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language plpgsql volatile
security definer set search_path from current as $$
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
