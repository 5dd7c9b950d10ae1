-- Deletes settled rows that are older than p_age from the journals of the held slots; returns how
-- many. Nothing younger than ten minutes is deleted, so that an id that is offered again is always
-- recognised. A message that something still points to stays (pointed_at), and with the Cloud API
-- so do events of the last 8 days: webhooks are repeated for 7.
--
-- Only the oldest p_limit rows of a slot and journal are looked at, so that it costs nothing where
-- nothing is old enough; rows that stay are passed over, 20 times as many at most.
--
-- The settings make every plan go by the primary keys, however many rows there were at the last
-- ANALYZE.
--
-- Called by: store/journal/slots.py
create function prune(p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
                                 p_age interval, p_limit integer)
returns bigint language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    cutoff timestamptz := clock_timestamp() - greatest(p_age, interval '10 minutes');
    heard timestamptz := least(cutoff, clock_timestamp() - (
        select case when f.upstream = 'simulator' then interval '0' else interval '8 days' end
          from format f));
    s smallint;
    settled bigint;
    m record;
    looked integer;
    seqs bigint[];
    total bigint := 0;
begin
    foreach s in array held loop
        select c.mark into settled from send_cursor c where c.slot = s;
        seqs := '{}';
        looked := 0;
        for m in select x.seq, x.id, x.accepted_at < cutoff as old from message x
                  where x.slot = s and x.seq <= settled order by x.slot, x.seq limit 20 * p_limit loop
            exit when looked >= p_limit;
            if not m.old then
                looked := looked + 1;
            elsif not pointed_at(m.id) then
                looked := looked + 1;
                seqs := seqs || m.seq;
            end if;
        end loop;
        delete from message g where g.slot = s and g.seq = any (seqs);
        total := total + cardinality(seqs);
        for k in 0..1 loop
            select c.mark into settled from event_cursor c where c.slot = s and c.kind = k;
            select array_agg(f.seq) into seqs
              from (select x.seq, x.recorded_at from event x
                     where x.slot = s and x.kind = k and x.seq <= settled
                     order by x.slot, x.kind, x.seq limit p_limit) f
             where f.recorded_at < heard;
            delete from event e where e.slot = s and e.kind = k and e.seq = any (seqs);
            total := total + coalesce(cardinality(seqs), 0);
        end loop;
    end loop;
    return total;
end $$;
