-- Ends a request for another shard count with a state (done, refused) and a sentence for the
-- caller.
--
-- Called by: store/election.py
create function end_shard_request(
    p_term bigint, p_incarnation uuid, p_request uuid, p_state text, p_details text)
returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    perform hold_term(p_term, p_incarnation);
    update shard_request set state = p_state, details = p_details, ended_at = clock_timestamp()
     where id = p_request;
    perform pg_notify('warouter', 'shards');
end $$;
