-- The text of a message, for an administrator who is logged in at the console: the body of an outgoing
-- one, found by its id, or the payload of an inbound one, found by the upstream's id or as people see
-- it, by its place in the journal (p_key: in-SLOT-SEQ-LETTERS). The audit log has a row of it in the
-- same transaction: who asked, for which message, from where. Null if there is no such message; refused
-- without a live session of an administrator.
--
-- Called by: store/account/sessions.py
create function reveal_message(p_session bytea, p_id bytea, p_key text, p_source text)
returns bytea language plpgsql volatile
security definer set search_path from current as $$
declare
    who text;
    found_text bytea;
    its_slot smallint;
    its_seq bigint;
begin
    select v.username into who from console_visitor(p_session, false) v where v.role = 'ROLE_ADMIN';
    if not found then
        raise exception 'no administrator is logged in with this session'
            using errcode = 'insufficient_privilege';
    end if;
    if p_id is not null then
        select m.body into found_text from message m where m.id = p_id;
    end if;
    if p_key ~ '^in-[0-9]{1,2}-[0-9]{1,18}-[a-z2-7]{13}$' then
        its_slot := split_part(p_key, '-', 2)::smallint;
        its_seq := split_part(p_key, '-', 3)::bigint;
        select e.payload into found_text from event e
         where e.slot = its_slot and e.kind = 1 and e.seq = its_seq;
        if not found then
            select d.payload into found_text from dead_letter d
             where d.slot = its_slot and d.kind = 1 and d.seq = its_seq;
        end if;
    elsif found_text is null then
        select e.payload into found_text from event e where e.key = p_key and e.kind = 1;
        if not found then
            select d.payload into found_text from dead_letter d where d.key = p_key and d.kind = 1;
        end if;
    end if;
    insert into audit (actor, action, subject, source, outcome)
    values (who, 'read message text', p_key, p_source,
            case when found_text is null then 'not found' else 'done' end);
    return found_text;
end $$;
