-- Keeps a signed webhook, or an element of one, that could not be read: the newest 100 of
-- each app.
--
-- Called by: store/cloud/receive.py
create function keep_unreadable(p_app integer, p_reason text, p_body bytea)
returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    insert into cloud_quarantine (app, reason, body) values (p_app, p_reason, p_body);
    delete from cloud_quarantine where app = p_app and id <=
        (select id from cloud_quarantine where app = p_app order by id desc offset 100 limit 1);
end $$;
