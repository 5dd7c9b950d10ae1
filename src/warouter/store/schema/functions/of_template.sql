-- True if a message in the journal is of a template; false if it is not there.
--
-- Called by: store/views/doubts.py
create function of_template(p_slot smallint, p_seq bigint) returns boolean language sql volatile
security definer set search_path from current as $$
    select exists (select from message m
                    where m.slot = p_slot and m.seq = p_seq
                      and position('"template"'::bytea in m.body) > 0)
$$;
