-- Gives a slot to another owner, or to nobody (null): a new epoch, no successor, and a row in
-- owner_log that says from whom, to whom and why. Returns the new epoch, which is greater than the
-- old one and than p_above.
--
-- A slot that is to move stays marked while its owner stays the same (a renewal): the new epoch begins
-- no request either, and whether one is out is to be said anew.
--
-- A handover is logged with the reason for which its successor was named. A slot that had to be
-- taken by force ('overdue') from an owner that cannot write its journal is logged with 'journal'.
--
-- Across a change of the database's timeline commits of the last owner may be lost, whoever changes it
-- and why: the slot is unsure from then on, until an owner has said what may be out (doubt_heads).
--
-- The caller holds the slot's lock exclusively (class 7703) and has checked its right to do this.
--
-- Called by: take_over, hand_over, release_slots, renew_epochs
create function change_owner(
    p_slot smallint, p_to uuid, p_term bigint, p_reason text, p_age_ms integer, p_above bigint)
returns bigint language plpgsql volatile
security definer set search_path from current as $$
declare
    was slot;
    raised bigint;
begin
    select * into was from slot s where s.slot = p_slot;
    raised := next_number(greatest(was.epoch, p_above));
    update slot s set owner = p_to, successor = null, why = null, epoch = raised,
                      moving = case when p_to = was.owner then least(was.moving, 1) else 0 end,
                      unsure = was.unsure or was.epoch > 0 and raised >> 32 > was.epoch >> 32
     where s.slot = p_slot;
    insert into owner_log (slot, from_incarnation, to_incarnation, from_node, to_node, epoch, term,
                           reason, observed_age_ms)
    values (p_slot, was.owner, p_to, (select name from node where incarnation = was.owner),
            (select name from node where incarnation = p_to), raised, p_term,
            case when p_reason = 'handover' or p_reason = 'overdue' and was.why = 'journal'
                 then coalesce(was.why, p_reason) else p_reason end,
            p_age_ms);
    return raised;
end $$;
