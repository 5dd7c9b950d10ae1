-- The rare part of record_progress, for the slots in p_held.
--
-- Called by: record_progress
create function record_rare(p_held smallint[], p_rare jsonb) returns void
language plpgsql volatile
security definer set search_path from current as $$
begin
    if p_rare ?| array['park', 'unpark', 'reopen'] then
        perform record_parked_messages(p_held, p_rare);
    end if;
    if p_rare ?| array['park_events', 'unpark_events', 'dead'] then
        perform record_parked_events(p_held, p_rare);
    end if;
    if p_rare ?| array['issues', 'unissue'] then
        perform record_issues(p_held, p_rare);
    end if;
end $$;
