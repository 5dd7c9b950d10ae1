-- Trigger function: statuses that came before the id of their message was known go to the inbox as it
-- becomes known, however late that is.
--
-- Called by: the trigger of tables/cloud.sql
create function match_known() returns trigger language plpgsql volatile
security definer set search_path from current as $$
begin
    perform hold_wamids(array(select k.wamid from known k), true);
    with found as (
        delete from cloud_unmatched m
         using known k where m.number = k.number and m.wamid = k.wamid
        returning k.slot, m.key, k.id, k.attempt, m.wamid, m.recipient, m.payload, m.number)
    insert into cloud_inbox (slot, kind, key, id, attempt, wamid, recipient, payload, number)
    select f.slot, 0, f.key, f.id, f.attempt, f.wamid, f.recipient, f.payload, f.number
      from found f order by f.key collate "C", f.number
    on conflict (key, number) do nothing;
    return null;
end $$;
