-- The payload of a status, from the journal or from the dead letters; null for an inbound message,
-- whose text may be read through reveal_message only.
--
-- Called by: store/views/trace.py, store/views/messages/outgoing.py
create function status_said(p_key text) returns bytea language sql volatile
security definer set search_path from current as $$
    select payload from event where key = p_key and kind = 0
    union all
    select payload from dead_letter where key = p_key and kind = 0
     limit 1
$$;
