-- Begins a request for another shard count: sets the count and names the successors of the slots
-- that move, in one transaction. Returns whether the request was begun; false, with nothing
-- changed, when it was withdrawn or is too old (see name_successors).
--
-- Called by: store/election.py
create function begin_shard_request(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_to uuid[],
    p_reasons text[], p_request uuid, p_shards integer)
returns boolean language plpgsql volatile
security definer set search_path from current as $$
begin
    perform name_successors(p_term, p_incarnation, p_slots, p_epochs, p_to, p_reasons, p_request,
                            p_shards);
    return exists (select from shard_request r where r.id = p_request and r.state = 'running');
end $$;
