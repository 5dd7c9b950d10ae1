-- Takes what webhooks brought, all of a commit, in the order of the keys: two webapps that get the
-- same events in different order would wait for each other's rows in a circle. Their numbers have the
-- order in which the rows came. Whoever writes more than one of these tables in a transaction does so
-- in this order: contact_identity, cloud_inbox, cloud_unmatched; the last one under hold_wamids.
--
-- Statuses, inbound messages and errors only (kinds 0, 1, 3): what owners and operators say is not for
-- a webapp to write. A null slot is that of a status without a reference: it is looked up by its wamid.
-- With a null p_webapp nothing is said of the listener. Returns how many rows are new in the inbox, and
-- how many new ones are of a wamid that nobody knows (yet).
--
-- Called by: store/cloud/receive.py
create function receive_cloud(
    p_webapp uuid, p_broken boolean, p_meta bigint, p_inbound real,
    p_slot smallint[], p_kind smallint[], p_key text[], p_id bytea[], p_attempt smallint[],
    p_wamid text[], p_recipient text[], p_payload bytea[], p_contact bytea[],
    p_number integer[],
    p_gone text[], p_now text[], p_gone_portfolio integer[],
    p_portfolio integer[], p_user text[], p_wa_id text[], p_alias text[], p_parent text[],
    p_username text[], p_name text[])
returns table (inserted integer, unmatched integer) language plpgsql volatile
security definer set search_path from current as $$
begin
    inserted := 0;
    unmatched := 0;
    if cardinality(p_user) > 0 or cardinality(p_gone) > 0 then
        perform learn_identities(p_gone, p_now, p_gone_portfolio, p_portfolio, p_user, p_wa_id,
                                 p_alias, p_parent, p_username, p_name);
    end if;
    if array_position(p_slot, null) is not null then
        -- Before any row is written: who records an id writes rows of the inbox after this lock, too.
        perform hold_wamids(array(select f.wamid from unnest(p_slot, p_wamid) as f(slot, wamid)
                                   where f.slot is null), false);
        select array_agg(coalesce(f.slot, u.slot) order by f.n),
               array_agg(coalesce(f.id, u.id) order by f.n),
               array_agg(coalesce(f.attempt, u.attempt) order by f.n)
          into p_slot, p_id, p_attempt
          from unnest(p_slot, p_id, p_attempt, p_wamid, p_number)
               with ordinality as f(slot, id, attempt, wamid, number, n)
          left join ids_of_wamids(array(select w.wamid from unnest(p_slot, p_wamid) as w(slot, wamid)
                                         where w.slot is null),
                                  array(select w.number from unnest(p_slot, p_number) as w(slot, number)
                                         where w.slot is null)) u
                 on f.slot is null and u.wamid = f.wamid and u.number = f.number;
    end if;
    insert into cloud_inbox (n, slot, kind, key, id, attempt, wamid, recipient, payload, contact,
                             number)
    overriding system value
    select f.n, f.slot, f.kind, f.key, f.id, f.attempt, f.wamid, f.recipient, f.payload, f.contact,
           f.number
      from (select nextval('cloud_inbox_n_seq') as n, e.*
              from unnest(p_slot, p_kind, p_key, p_id, p_attempt, p_wamid, p_recipient, p_payload,
                          p_contact, p_number)
                as e(slot, kind, key, id, attempt, wamid, recipient, payload, contact, number)
             where e.slot is not null and e.kind in (0, 1, 3)) f
     order by f.key collate "C", f.number
    on conflict (key, number) do nothing;
    get diagnostics inserted = row_count;
    if array_position(p_slot, null) is not null then
        insert into cloud_unmatched (wamid, key, recipient, payload, number)
        select f.wamid, f.key, f.recipient, f.payload, f.number
          from unnest(p_slot, p_key, p_wamid, p_recipient, p_payload, p_number)
            as f(slot, key, wamid, recipient, payload, number)
         where f.slot is null
        on conflict (key, number) do nothing;
        get diagnostics unmatched = row_count;
    end if;
    if p_webapp is not null then
        perform touch_cloud_path(p_webapp, p_broken, p_meta, p_inbound);
    end if;
    return next;
end $$;
