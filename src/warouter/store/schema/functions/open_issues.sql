-- The requests of the held slots that an owner before this one may have begun: whatever was issued is
-- in doubt from now on, and to be looked at. What was in doubt keeps its time, and nothing of it is read
-- here. Where commits may have been lost (slot.unsure) more counts as issued: doubt_heads says what.
--
-- Called by: store/journal/issues.py
create function open_issues(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns void language plpgsql volatile
set enable_seqscan = off
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    now timestamptz := clock_timestamp();
begin
    if exists (select from slot o where o.slot = any (held) and o.unsure) then
        perform doubt_heads(array(select o.slot from slot o where o.slot = any (held) and o.unsure));
    end if;
    update send_issue s
       set state = 2, doubts = s.doubts + 1, at = now, cause = 'takeover', look_at = now
      from (select i.slot, i.seq from send_issue i
             where i.slot = any (held) and i.state = 1 order by i.slot, i.seq for update) i
     where s.slot = i.slot and s.seq = i.seq;
end $$;
