-- Appends a batch of messages as append_messages does, and in the same commit the issue row of each
-- whose request may begin right after it; those are named once more in the p_issue columns. Where a
-- message was not simply inserted no issue row is written at all.
--
-- Called by: store/journal/messages.py
create function append_issued(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_id bytea[], p_recipient text[], p_kind smallint[],
    p_body bytea[], p_number integer[], p_aside boolean[],
    p_issue_slot smallint[], p_issue_seq bigint[], p_issue_id bytea[], p_issue_recipient text[],
    p_issue_number integer[])
returns table (ordinal integer, outcome smallint) language plpgsql volatile
security definer set search_path from current as $$
begin
    return query
        select * from append_messages(p_incarnation, p_slots, p_epochs, p_slot, p_seq, p_id,
                                      p_recipient, p_kind, p_body, p_number, p_aside);
    if not found then
        -- Only a batch that is sent again finds some, and ON CONFLICT would cost what append_messages
        -- says.
        insert into send_issue (slot, seq, id, recipient, attempt, state, number)
        select f.slot, f.seq, f.id, f.recipient, 1, 1, coalesce(f.number, 1)
          from (select unnest(p_issue_slot) as slot, unnest(p_issue_seq) as seq,
                       unnest(p_issue_id) as id, unnest(p_issue_recipient) as recipient,
                       unnest(p_issue_number) as number) as f
         where not exists (select from send_issue s where s.slot = f.slot and s.seq = f.seq);
    end if;
end $$;
