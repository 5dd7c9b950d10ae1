-- After a change of the database's timeline: raises every epoch of an earlier timeline once, so
-- that none is given out twice. Owners stay, and find out what may have been lost. Returns the slots.
-- Whether a slot is to be raised, and who owns it, is read once its lock is held: meanwhile an owner may
-- have renewed its epoch, or handed the slot over.
--
-- Called by: store/election.py
create function raise_epochs(p_term bigint, p_incarnation uuid) returns smallint[]
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
