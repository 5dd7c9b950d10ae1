-- Writes an operator's word on messages into the inbox of their owners; p_draw makes its key one of its
-- own. Returns those that hear it: held ones, and for `hold` those in doubt. In the order of the keys, as
-- all writers of the inbox.
--
-- Called by: store/operator_word.py
create function say_word(p_ids bytea[], p_draw text, p_word bytea) returns setof bytea
language sql volatile
security definer set search_path from current as $$
    insert into cloud_inbox (slot, kind, key, id, payload, number)
    select s.slot, 4, 'asked:' || encode(s.id, 'hex') || ':' || p_draw, s.id, p_word, s.number
      from send_issue s
     where s.id = any (p_ids)
       and s.state = any (case p_word when 'hold'::bytea then array[2, 5] else array[3] end)
     order by s.id
    returning id
$$;
