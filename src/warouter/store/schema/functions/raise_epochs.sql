-- After a change of the database's timeline: raises every epoch of an earlier timeline once, so
-- that none is given out twice. Owners stay, and find out what may have been lost. Returns the slots.
--
-- Called by: store/election.py
create function raise_epochs(p_term bigint, p_incarnation uuid) returns smallint[]
language plpgsql volatile
security definer set search_path from current as $$
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
