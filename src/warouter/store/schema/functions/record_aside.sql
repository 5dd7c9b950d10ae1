-- The part of record_progress for consumers that are aside, for the slots in p_held. It goes before
-- the cursors: none may pass over a row of which the disk does not say whose it is.
--
--   aside    {slot, log, consumer, number, base, since, upto, flow, mark, ranges, why}  as the table
--   unaside  {slot, log, consumer}                                         all of it is settled
--
-- Called by: record_progress
create function record_aside(p_held smallint[], p_rare jsonb) returns void
language plpgsql volatile
security definer set search_path from current as $$
begin
    delete from aside a
     using jsonb_to_recordset(p_rare -> 'unaside') as u(slot smallint, log smallint, consumer bigint)
     where a.slot = u.slot and a.log = u.log and a.consumer = u.consumer and u.slot = any (p_held);
    insert into aside (slot, log, consumer, number, base, since, upto, flow, mark, ranges, why)
    select r.slot, r.log, r.consumer, r.number, r.base, r.since, r.upto, r.flow, r.mark, r.ranges,
           r.why
      from jsonb_to_recordset(p_rare -> 'aside')
           as r(slot smallint, log smallint, consumer bigint, number integer, base bigint,
                since bigint, upto bigint, flow bigint[], mark bigint, ranges bigint[], why smallint)
     where r.slot = any (p_held)
    on conflict (slot, log, consumer) do update
       set base = excluded.base, since = excluded.since, upto = excluded.upto, flow = excluded.flow,
           mark = excluded.mark, ranges = excluded.ranges, why = excluded.why;
end $$;
