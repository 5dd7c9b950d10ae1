-- runs with: 11
--
-- No field of a webhook that may carry a customer's words is dropped in silence: it is counted by its
-- name, and what Meta's agent and the business's own app hold is kept.

-- What may carry a customer's words and called nobody back, by the field of its webhook: 50 names.
create table cloud_left_out (
    field text primary key,
    count bigint not null,
    since timestamptz not null default now(),
    at    timestamptz not null default now()         -- of the last
);

-- Of it, what may still be wanted, as it came; as long as messages are kept.
create table cloud_kept (
    key     text primary key,
    field   text not null,
    payload bytea not null,
    at      timestamptz not null default now()
);
create index cloud_kept_at on cloud_kept (at);

-- Counts what webhooks brought and nobody is called back for, by field, and keeps what may still be
-- wanted. Beyond 50 names they are counted as other. What is older than p_days goes.
--
-- Called by: store/cloud/receive.py
create function leave_out(
    p_field text[], p_count integer[], p_key text[], p_from text[], p_payload bytea[], p_days float8)
returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    insert into cloud_kept (key, field, payload)
    select f.key, f.field, f.payload from unnest(p_key, p_from, p_payload) as f(key, field, payload)
     order by f.key collate "C"
    on conflict (key) do nothing;
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
