-- Keeps a signed webhook, or an element of one, that could not be read: the newest 100.
--
-- Called by: store/cloud/receive.py
create function keep_unreadable(p_reason text, p_body bytea)
returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    insert into cloud_quarantine (reason, body) values (p_reason, p_body);
    delete from cloud_quarantine where id <=
        (select id from cloud_quarantine order by id desc offset 100 limit 1);
end $$;
