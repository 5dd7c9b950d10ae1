-- Writes the issue rows of requests that are to begin. Returns one row for each that may not: outcome
-- 2 is fenced (the caller does not own the slot under that epoch), 6 means that there is evidence of
-- an earlier attempt, so that nothing is sent any more.
--
-- p_doubts are the attempts before this one that may have been taken. Evidence of them may have come
-- in since the window ended, so it is looked for here, in the transaction of the issue: in
-- upstream_id, and in what webhooks and former owners have said.
--
-- Called by: store/journal/issues.py
create function issue_requests(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_id bytea[], p_recipient text[], p_attempt smallint[],
    p_doubts smallint[], p_number integer[])
returns table (ordinal integer, outcome smallint) language plpgsql volatile
security definer set search_path from current as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
    known bytea[];
begin
    select coalesce(array_agg(f.id), '{}') into known
      from unnest(p_id, p_doubts, p_number) as f(id, doubts, number)
     where f.doubts > 0
       and (exists (select from upstream_id u where u.id = f.id)
            or exists (select from cloud_inbox i
                        where i.id = f.id and i.number = f.number
                          and (i.kind = 0 or i.kind = 2 and i.wamid is not null)));
    insert into send_issue as s (slot, seq, id, recipient, attempt, doubts, state, number)
    select f.slot, f.seq, f.id, f.recipient, f.attempt, f.doubts, 1, f.number
      from unnest(p_slot, p_seq, p_id, p_recipient, p_attempt, p_doubts, p_number)
           as f(slot, seq, id, recipient, attempt, doubts, number)
     where f.slot = any (held) and f.id <> all (known)
     order by f.slot, f.seq
    on conflict (slot, seq) do update
       set attempt = excluded.attempt, doubts = excluded.doubts, state = 1, cause = null,
           at = clock_timestamp(), look_at = null;
    return query
        select f.n::integer - 1, (case when f.slot = any (held) then 6 else 2 end)::smallint
          from unnest(p_slot, p_id) with ordinality as f(slot, id, n)
         where f.slot <> all (held) or f.id = any (known);
end $$;
