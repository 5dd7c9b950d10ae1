-- Our messages of these ids of the Cloud API, each of its number, with the attempt; those of nobody here
-- are missing. An id is of one message among those of its number.
-- The spans of two hours in which ids were recorded are looked through from the newest on, each by one
-- descent of the index: most ids are asked about soon.
--
-- Called by: receive_cloud, store/journal/names.py
create function ids_of_wamids(p_wamid text[], p_number integer[])
returns table (wamid text, number integer, slot smallint, id bytea, attempt smallint)
language plpgsql volatile
set enable_seqscan = off set enable_bitmapscan = off
security definer set search_path from current as $$
declare
    spans timestamptz[];
begin
    select array_agg(s) into spans
      from generate_series(
               (select date_bin('2 hours', min(u.at), timestamptz 'epoch') from upstream_id u),
               (select max(u.at) from upstream_id u), interval '2 hours') s;
    return query
        select f.wamid, f.number, known.slot, known.id, known.attempt
          from (select distinct w.wamid, w.number
                  from unnest(p_wamid, p_number) as w(wamid, number)) f,
               lateral (
                   select u.slot, u.id, u.attempt from upstream_id u
                    where date_bin('2 hours', u.at, timestamptz 'epoch') = any (spans)
                      and hashtextextended(u.wamid, 0) = hashtextextended(f.wamid, 0)
                      and u.wamid = f.wamid and u.number = f.number
                    order by date_bin('2 hours', u.at, timestamptz 'epoch') desc limit 1) known;
end $$;
