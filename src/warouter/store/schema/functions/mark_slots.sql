-- Marks slots that are to move (p_moving 1: their owner begins no request any more), or takes the mark
-- back (0), by the leader. A slot whose epoch is not the one that the leader saw, or that has a
-- successor, is left alone. With p_request it also tells who waits for that request that it was taken
-- up, and begins as soon as these slots are quiet.
--
-- Called by: store/election.py
create function mark_slots(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_moving smallint[],
    p_request uuid)
returns void language plpgsql volatile
security definer set search_path from current as $$
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
