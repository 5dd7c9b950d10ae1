-- Counts what webhooks brought and nobody is called back for, by field, and keeps what may still be
-- wanted, with the number that it came to. Beyond 50 names they are counted as other. What is older
-- than p_days goes.
--
-- Called by: store/cloud/receive.py
create function leave_out(
    p_field text[], p_count integer[], p_key text[], p_from text[], p_payload bytea[],
    p_number integer[], p_days float8)
returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    insert into cloud_kept (key, field, payload, number)
    select f.key, f.field, f.payload, f.number
      from unnest(p_key, p_from, p_payload, p_number) as f(key, field, payload, number)
     order by f.key collate "C", f.number
    on conflict (key, number) do nothing;
    insert into cloud_left_out as c (field, count)
    select f.name, sum(f.count)
      from (select case when exists (select from cloud_left_out l where l.field = e.field)
                          or (select count(*) from cloud_left_out) < 50
                        then e.field else 'other' end as name, e.count
              from unnest(p_field, p_count) as e(field, count)) f
     group by f.name order by f.name collate "C"
    on conflict (field) do update set count = c.count + excluded.count, at = now();
    delete from cloud_kept where at < now() - p_days * interval '1 day';
end $$;
