-- The part of record_rare for requests to the Cloud API, for the slots in p_held:
--
--   issues   {slot, seq, attempt, state, doubts, spared, cause, look_ms}   what became of a request;
--            nothing if a later attempt was issued meanwhile. A doubt goes on through its states.
--   unissue  {slot, seq, attempt}                               the issue row goes; with an attempt only
--            if that is the last one
--
-- Called by: record_rare
create function record_issues(p_held smallint[], p_rare jsonb) returns void
language plpgsql volatile
security definer set search_path from current as $$
begin
    update send_issue s
       set state = i.state, doubts = i.doubts, spared = i.spared, cause = i.cause,
           at = case when s.state in (2, 5, 7) and i.state in (2, 5, 6, 7) then s.at
                     else clock_timestamp() end,
           look_at = clock_timestamp() + i.look_ms * interval '1 ms'
      from jsonb_to_recordset(p_rare -> 'issues')
           as i(slot smallint, seq bigint, attempt smallint, state smallint, doubts smallint,
                spared smallint, cause text, look_ms bigint)
     where s.slot = i.slot and s.seq = i.seq and s.attempt = i.attempt and i.slot = any (p_held);
    delete from send_issue s
     using jsonb_to_recordset(p_rare -> 'unissue') as i(slot smallint, seq bigint, attempt smallint)
     where s.slot = i.slot and s.seq = i.seq and i.slot = any (p_held)
       and (i.attempt is null or i.attempt = s.attempt);
end $$;
