-- Gives the database another upstream: every slot is left without an owner, under a new epoch, so that
-- no process that is set to the old one can write for it any more, and leaders name only those that
-- are set to the new one. Returns how many messages are not settled (at most 10,000 are counted) and how
-- many of those are parked; beside them, how many the Cloud API may have taken and how many are held. If
-- there are any nothing is changed, unless p_force: then the first go to the new upstream, and all
-- others are held until an operator decides.
--
-- An issue row stays until its message is settled, also where surely nothing was taken: no attempt is
-- made twice.
--
-- Called by: store/upstream.py
create function switch_upstream(p_upstream text, p_force boolean)
returns table (unsettled bigint, parked bigint, doubtful bigint, held bigint)
language plpgsql volatile
security definer set search_path from current as $$
declare
    s smallint;
begin
    for s in select generate_series(0, 31) loop
        perform pg_advisory_xact_lock(7703, s);
    end loop;
    select count(*) filter (where i.state <> 3), count(*) filter (where i.state = 3)
      into doubtful, held
      from send_issue i where i.state <> 4 or i.doubts > 0;
    select count(*), count(*) filter (where w.is_parked) into unsettled, parked from (
        select m.slot, m.seq, false as is_parked
          from send_cursor c join message m on m.slot = c.slot and m.seq > c.mark
         where not exists (select from generate_series(1, cardinality(c.ranges), 2) i
                            where m.seq between c.ranges[i] and c.ranges[i + 1])
        union all
        select p.slot, p.seq, true from parked_message p
        limit 10000) w
     where not exists (select from send_issue i
                        where i.slot = w.slot and i.seq = w.seq and (i.state <> 4 or i.doubts > 0));
    if p_force or (unsettled, doubtful, held) = (0, 0, 0) then
        for s in select generate_series(0, 31) loop
            perform change_owner(s, null, null, 'switch', null, 0);
        end loop;
        update send_issue i set state = 3, at = clock_timestamp(), cause = coalesce(i.cause, 'switch')
         where i.state <> 3 and (i.state <> 4 or i.doubts > 0);
        update format set upstream = p_upstream;
        update shard_map set version = version + 1;
        perform pg_notify('warouter', 'map');
    end if;
    return next;
end $$;
