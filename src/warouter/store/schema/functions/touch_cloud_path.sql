-- Notes that a webapp's listener for webhooks is up, and since when it has answered nothing but 200:
-- since now after another answer (p_broken), or if more than 5 s have passed since the last note.
-- p_meta is the newest time that an event carried, in seconds since 1970, 0 if none came.
--
-- Called by: store/cloud/receive.py, receive_cloud
create function touch_cloud_path(p_webapp uuid, p_broken boolean, p_meta bigint, p_inbound real)
returns void language plpgsql volatile
security definer set search_path from current as $$
declare
    newest timestamptz := case when p_meta > 0 then to_timestamp(p_meta) end;
begin
    insert into cloud_path as c (webapp, meta_at, inbound) values (p_webapp, newest, p_inbound)
    on conflict (webapp) do update
       set since = case when p_broken or c.left_at is not null
                          or c.seen_at < clock_timestamp() - interval '5 s'
                        then clock_timestamp() else c.since end,
           seen_at = clock_timestamp(), left_at = null,
           meta_at = greatest(c.meta_at, newest), inbound = p_inbound;
end $$;
