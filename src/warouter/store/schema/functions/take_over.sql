-- Gives slots to other owners, by the leader, or new epochs to those that have them. A slot whose epoch is
-- not the one that the leader saw is left alone, and so is one for another owner that has said that it
-- is leaving (see name_successors).
-- Returns the slots that moved. Each slot's lock is taken exclusively, in ascending order, so no write
-- of the old owner is under way when the slot moves.
--
-- Called by: store/election.py
create function take_over(
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
        if exists (select from slot o
                    where o.slot = s.slot and o.epoch = s.epoch
                      and (o.owner = s.heir or not exists (
                           select from node n where n.incarnation = s.heir and n.leaving))) then
            perform change_owner(s.slot, s.heir, p_term, s.reason, s.age_ms, 0);
            moved := moved || s.slot;
        end if;
    end loop;
    update shard_map set version = version + 1;
    perform pg_notify('warouter', 'map');
    return moved;
end $$;
