-- Deletes settled rows that are older than p_age from the journals of the held slots. In each it looks
-- at p_limit rows behind a seq of p_after (messages, statuses, inbound messages). Returns how many went,
-- and behind which seqs the caller goes on: of several slots the least, null once a journal was looked
-- through. It is null in p_after for a journal that is not to be looked at.
--
-- Nothing younger than ten minutes is deleted, so that an id that is offered again is always
-- recognised, and with the Cloud API no event of the last 8 days: webhooks are repeated for 7. What
-- something still points to stays (pointed_at, event_pointed_at), and so does what a consumer that is
-- aside has not settled (is_aside): that is asked only while the journal has one. However many rows stay,
-- the caller gets past them; and a journal whose first rows are young is looked through with these.
--
-- The settings make every plan go by the primary keys, however many rows there were at the last
-- ANALYZE.
--
-- Called by: store/journal/slots.py
create function prune(p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
                      p_age interval, p_limit integer, p_after bigint[],
                      out gone bigint, out after bigint[])
language plpgsql volatile
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
    seqs bigint[];
    last bigint;
    asides boolean;
begin
    gone := 0;
    after := array[null, null, null];
    foreach s in array held loop
        select c.mark into settled from send_cursor c where c.slot = s;
        asides := exists (select from aside a where a.slot = s and a.log = 0);
        select array_agg(f.seq) filter (where f.old and not pointed_at(f.id)
                                        and not (asides and is_aside(s, 0::smallint, f.seq))),
               case when count(*) = p_limit then max(f.seq) filter (where f.old) end
          into seqs, last
          from (select x.seq, x.id, x.accepted_at < cutoff as old from message x
                 where x.slot = s and x.seq > p_after[1] and x.seq <= settled
                 order by x.slot, x.seq limit p_limit) f;
        delete from message m where m.slot = s and m.seq = any (seqs);
        gone := gone + coalesce(cardinality(seqs), 0);
        after[1] := least(after[1], last);
        for k in 0..1 loop
            select c.mark into settled from event_cursor c where c.slot = s and c.kind = k;
            asides := exists (select from aside a where a.slot = s and a.log = k + 1);
            select array_agg(f.seq) filter (
                       where f.old and not event_pointed_at(s, k::smallint, f.seq)
                         and not (asides and is_aside(s, (k + 1)::smallint, f.seq))),
                   case when count(*) = p_limit then max(f.seq) filter (where f.old) end
              into seqs, last
              from (select x.seq, x.recorded_at < heard as old from event x
                     where x.slot = s and x.kind = k
                       and x.seq > p_after[2 + k] and x.seq <= settled
                     order by x.slot, x.kind, x.seq limit p_limit) f;
            delete from event e where e.slot = s and e.kind = k and e.seq = any (seqs);
            gone := gone + coalesce(cardinality(seqs), 0);
            after[2 + k] := least(after[2 + k], last);
        end loop;
    end loop;
end $$;
