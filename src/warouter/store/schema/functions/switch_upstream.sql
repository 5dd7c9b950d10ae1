-- Gives the database another upstream: every slot is left without an owner, under a new epoch, so that
-- no process that is set to the old one can write for it any more, and leaders name only those that
-- are set to the new one. Returns how many messages are not settled (at most 10,000 are counted) and
-- how many the Cloud API may have taken. If there are any nothing is changed, unless p_force: then the
-- former go to the new upstream, and the latter are held until an operator decides.
--
-- Called by: store/upstream.py
create function switch_upstream(p_upstream text, p_force boolean)
returns table (unsettled bigint, doubtful bigint) language plpgsql volatile as $$
declare
    s smallint;
begin
    for s in select generate_series(0, 31) loop
        perform pg_advisory_xact_lock(7703, s);
    end loop;
    select count(*) into doubtful from send_issue i where i.state <> 4 or i.doubts > 0;
    select count(*) into unsettled from (
        select from send_cursor c join message m on m.slot = c.slot and m.seq > c.mark
         where not exists (select from generate_series(1, cardinality(c.ranges), 2) i
                            where m.seq between c.ranges[i] and c.ranges[i + 1])
        union all
        select from parked_message
        limit 10000) w;
    if p_force or (unsettled, doubtful) = (0, 0) then
        for s in select generate_series(0, 31) loop
            perform change_owner(s, null, null, 'switch', null, 0);
        end loop;
        delete from send_issue i where i.state = 4 and i.doubts = 0;  -- certainly not taken
        update send_issue i set state = 3, at = clock_timestamp(), cause = coalesce(i.cause, 'switch')
         where i.state <> 3;
        update format set upstream = p_upstream;
        update shard_map set version = version + 1;
        perform pg_notify('warouter', 'map');
    end if;
    return next;
end $$;
