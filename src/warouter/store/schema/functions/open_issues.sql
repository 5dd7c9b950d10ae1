-- The requests of the held slots that an owner before this one may have begun: whatever was issued is
-- in doubt from now on, what was in doubt keeps its time. Returns each with its message, with the id
-- of an attempt that is known to have been taken, if any, and with its age in seconds. Where commits
-- may have been lost (slot.unsure) more counts as issued: doubt_heads says what.
--
-- max(wamid || ''): without that a server that has not counted yet reads all wamids from the last one
-- down, for each row.
--
-- Called by: store/journal/issues.py
create function open_issues(p_incarnation uuid, p_slots smallint[], p_epochs bigint[])
returns table (slot smallint, seq bigint, id bytea, recipient text, attempt smallint,
               doubts smallint, state smallint, age float8, cause text,
               kind smallint, body bytea, ttl integer, message_age float8, wamid text)
language plpgsql volatile
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    if exists (select from slot o where o.slot = any (held) and o.unsure) then
        perform doubt_heads(array(select o.slot from slot o where o.slot = any (held) and o.unsure));
    end if;
    update send_issue s
       set state = 2, doubts = s.doubts + 1, at = clock_timestamp(), cause = 'takeover'
      from (select i.slot, i.seq from send_issue i
             where i.slot = any (held) and i.state = 1 order by i.slot, i.seq for update) i
     where s.slot = i.slot and s.seq = i.seq;
    return query
        select s.slot, s.seq, s.id, s.recipient, s.attempt, s.doubts, s.state,
               greatest(extract(epoch from clock_timestamp() - s.at), 0)::float8, s.cause,
               m.kind, m.body, m.ttl,
               greatest(extract(epoch from clock_timestamp() - m.accepted_at), 0)::float8,
               (select max(u.wamid || '') from upstream_id u where u.id = s.id)
          from send_issue s
          left join message m on m.slot = s.slot and m.seq = s.seq
         where s.slot = any (held)
         order by s.slot, s.seq;
end $$;
