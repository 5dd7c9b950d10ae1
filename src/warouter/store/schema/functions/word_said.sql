-- The operator's word on a message that its owner has not taken up yet; null if there is none.
--
-- Called by: store/views/doubts.py
create function word_said(p_id bytea) returns text language sql volatile
security definer set search_path from current as $$
    select convert_from(i.payload, 'UTF8') from cloud_inbox i
     where i.id = p_id and i.kind = 4 order by i.n limit 1
$$;
