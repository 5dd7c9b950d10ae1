-- Raises the term and makes the incarnation its leader; returns the new term. The advisory lock of
-- class 7701 keeps masters apart; this row is the authority.
--
-- Called by: store/election.py
create function win_term(p_incarnation uuid) returns bigint language plpgsql volatile
security definer set search_path from current as $$
declare
    won bigint;
begin
    perform pg_advisory_xact_lock(7702, 0);
    update term t set term = next_number(t.term), incarnation = p_incarnation,
                      won_at = clock_timestamp()
    returning t.term into won;
    perform pg_notify('warouter', 'term');
    return won;
end $$;
