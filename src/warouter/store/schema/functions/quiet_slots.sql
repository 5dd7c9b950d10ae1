-- Notes for the slots among these that are marked to move that their owner has no request out any
-- more, and returns them. A slot whose row the leader is writing is left out: the owner tries again.
--
-- Called by: store/journal/slots.py
create function quiet_slots(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns smallint[] language plpgsql volatile
security definer set search_path from current as $$
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
