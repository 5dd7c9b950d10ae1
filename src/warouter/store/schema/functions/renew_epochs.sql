-- Gives the caller new epochs, above p_above, for slots that it owns and that have no successor;
-- needs no leader. An owner that does not know what became of a commit goes on only under a new
-- epoch.
--
-- Called by: store/journal/slots.py
create function renew_epochs(p_incarnation uuid, p_slots smallint[], p_above bigint[])
returns table (slot smallint, epoch bigint) language plpgsql volatile
security definer set search_path from current as $$
declare
    s record;
begin
    for s in select x from unnest(p_slots) x order by 1 loop
        perform pg_advisory_xact_lock(7703, s.x);
    end loop;
    for s in select t.number, t.above from unnest(p_slots, p_above) as t(number, above)
               join slot o on o.slot = t.number
              where o.owner = p_incarnation and o.successor is null order by 1 loop
        return query select s.number,
            change_owner(s.number, p_incarnation, null, 'renew', null, s.above);
    end loop;
    update shard_map set version = version + 1;
    perform pg_notify('warouter', 'map');
end $$;
