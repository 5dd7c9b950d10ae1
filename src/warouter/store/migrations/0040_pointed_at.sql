-- runs with: 11
--
-- Retention deletes nothing that something still points to: a message that was parked for longer than the
-- ten minutes lost its row, and its next owner dropped it.

-- True if something still needs the message with this id, so that retention leaves its row and the ids
-- that it was given alone: a request that may be out or may have been taken, a message that is held, one
-- that is parked, or a row of the inbox that speaks of it. Whatever comes to point at a message is added
-- here and nowhere else.
--
-- Called by: prune, prune_cloud
create function pointed_at(p_id bytea) returns boolean language plpgsql volatile
set enable_seqscan = off
security definer set search_path from current as $$
begin
    return exists (select from send_issue i where i.id = p_id)
        or exists (select from parked_message p where p.id = p_id)
        or exists (select from cloud_inbox c where c.id = p_id);
end $$;

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
create or replace function prune(p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
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

-- Deletes what is no longer needed of the Cloud API, up to p_limit rows of each: ids that are older than
-- p_days and than 30, as a message can be quoted for so long, unless something points to their message;
-- statuses of nobody after 8, as Meta repeats a webhook for 7; what processes said, and who could not
-- be reached, after a day; recipients of whom nothing more may be heard. Returns how many of that of
-- which most went.
--
-- Called by: store/history.py
create or replace function prune_cloud(p_days float8, p_limit integer) returns bigint
language plpgsql volatile
security definer set search_path from current as $$
declare
    gone bigint;
    most bigint := 0;
begin
    delete from upstream_id where wamid in (
        select u.wamid from upstream_id u
         where u.at < now() - greatest(p_days, 30) * interval '1 day'
           and not pointed_at(u.id)
         order by u.at limit p_limit for update skip locked);
    get diagnostics most = row_count;
    delete from cloud_unmatched where key in (
        select key from cloud_unmatched where at < now() - interval '8 days'
         order by at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from cloud_unheard where recipient in (
        select recipient from cloud_unheard where until < now()
         limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from cloud_unreachable where wa_id in (
        select wa_id from cloud_unreachable where at < now() - interval '1 day'
         order by at limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from cloud_path where webapp in (
        select webapp from cloud_path where seen_at < now() - interval '1 day'
         limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    most := greatest(most, gone);
    delete from cloud_share where incarnation in (
        select incarnation from cloud_share where seen_at < now() - interval '1 day'
         limit p_limit for update skip locked);
    get diagnostics gone = row_count;
    return greatest(most, gone);
end $$;

revoke execute on function pointed_at(bytea) from public;
