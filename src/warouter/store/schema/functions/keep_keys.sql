-- Keeps the identities that webhooks show: what is new, and what has changed since. A webhook of an
-- earlier time than the identity that is kept changes nothing, as they come in any order. The first
-- identity of a customer is acknowledged, unless the webhook says that it is another one (p_changed).
-- Each number has its own, as it is the business's word to customers of that one.
--
-- Rows are written in the order of the keys: two webapps that hear of the same customers wait for
-- each other, and not in a circle. It is called after receive_cloud has written its tables.
--
-- Called by: store/cloud/keys.py
create function keep_keys(
    p_number integer[], p_wa_id text[], p_hash text[], p_since bigint[], p_changed boolean[])
returns void language sql volatile
security definer set search_path from current as $$
    insert into contact_key as k (number, wa_id, hash, since, acknowledged)
    select f.number, f.wa_id, f.hash, to_timestamp(f.since), case when not f.changed then f.hash end
      from unnest(p_number, p_wa_id, p_hash, p_since, p_changed)
        as f(number, wa_id, hash, since, changed)
     order by f.number, f.wa_id collate "C"
    on conflict (number, wa_id) do update set hash = excluded.hash, since = excluded.since
     where k.hash <> excluded.hash and k.since <= excluded.since
$$;
