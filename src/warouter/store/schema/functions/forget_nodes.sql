-- Deletes the rows of incarnations that are gone.
--
-- Called by: store/election.py
create function forget_nodes(p_term bigint, p_incarnation uuid, p_gone uuid[]) returns void
language plpgsql volatile
security definer set search_path from current as $$
begin
    perform hold_term(p_term, p_incarnation);
    delete from beat where incarnation = any (p_gone);
    delete from node where incarnation = any (p_gone);
end $$;
