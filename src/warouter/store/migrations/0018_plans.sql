-- runs with: 11
--
-- As before, by plans that do not depend on how many rows there were at the last ANALYZE (see
-- 0016_parked.sql).

create or replace function prune(p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
                                 p_age interval, p_limit integer)
returns bigint language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    cutoff timestamptz := clock_timestamp() - greatest(p_age, interval '10 minutes');
    s smallint;
    settled bigint;
    seqs bigint[];
    total bigint := 0;
begin
    foreach s in array held loop
        select c.mark into settled from send_cursor c where c.slot = s;
        select array_agg(f.seq) into seqs
          from (select x.seq, x.accepted_at from message x
                 where x.slot = s and x.seq <= settled order by x.slot, x.seq limit p_limit) f
         where f.accepted_at < cutoff;
        delete from message m where m.slot = s and m.seq = any (seqs);
        total := total + coalesce(cardinality(seqs), 0);
        for k in 0..1 loop
            select c.mark into settled from event_cursor c where c.slot = s and c.kind = k;
            select array_agg(f.seq) into seqs
              from (select x.seq, x.recorded_at from event x
                     where x.slot = s and x.kind = k and x.seq <= settled
                     order by x.slot, x.kind, x.seq limit p_limit) f
             where f.recorded_at < cutoff;
            delete from event e where e.slot = s and e.kind = k and e.seq = any (seqs);
            total := total + coalesce(cardinality(seqs), 0);
        end loop;
    end loop;
    return total;
end $$;

create or replace function prune_keys(p_slots smallint[], p_limit integer) returns bigint
language plpgsql volatile
set enable_seqscan = off set enable_sort = off as $$
declare
    keys bytea[];
begin
    select array_agg(f.key) into keys
      from (select k.key from unnest(p_slots) as s(slot),
                   lateral (select x.key from request_key x
                             where x.slot = s.slot and x.created_at < now() - interval '24 hours'
                             order by x.slot, x.created_at limit p_limit
                               for update skip locked) k
             limit p_limit) f;
    delete from request_key r where r.key = any (keys);
    return coalesce(cardinality(keys), 0);
end $$;
