-- runs with: 11
--
-- What webhooks of the Cloud API bring is received by webapps: events into the inbox, users into
-- contact_identity, and that the listener is up into cloud_path.

-- Writes what is known of users of WhatsApp: one row a user, of which an alias once given stays. A
-- number belongs to one user: whoever had it before has none. p_gone are ids that a user had before.
--
-- An advisory lock lets one session write at a time: with three unique columns no order of the rows
-- keeps two sessions from waiting for each other. Few calls have anything to write.
create function learn_identities(
    p_gone text[], p_user text[], p_wa_id text[], p_alias text[], p_parent text[],
    p_username text[], p_name text[])
returns void language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform pg_advisory_xact_lock(7707, 0);
    delete from contact_identity where user_id = any (p_gone);
    update contact_identity c set wa_id = null
      from unnest(p_user, p_wa_id) as f(user_id, wa_id)
     where c.wa_id = f.wa_id and c.user_id <> f.user_id;
    insert into contact_identity as c
           (user_id, wa_id, alias, parent_user_id, username, name)
    select f.* from unnest(p_user, p_wa_id, p_alias, p_parent, p_username, p_name) as f
    on conflict (user_id) do update
       set wa_id = coalesce(excluded.wa_id, c.wa_id), alias = coalesce(c.alias, excluded.alias),
           parent_user_id = coalesce(excluded.parent_user_id, c.parent_user_id),
           username = coalesce(excluded.username, c.username),
           name = coalesce(excluded.name, c.name), seen_at = now();
end $$;

-- Says that a webapp's listener for webhooks is up, and answered nothing but 200 since when: anew
-- after an answer of another kind (p_broken), and after more than 5 s of which nothing is said.
-- p_meta is the newest time that an event carried, in seconds since 1970, 0 if none came.
create function touch_cloud_path(p_webapp uuid, p_broken boolean, p_meta bigint, p_inbound real)
returns void language plpgsql volatile as $$
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

-- Takes what webhooks brought, all of a commit, in the order of the keys: two webapps that get the
-- same events in different order would wait for each other's rows in a circle. Their numbers have the
-- order in which the rows came. Whoever writes more than one of these tables in a transaction does so
-- in this order: contact_identity, cloud_inbox, cloud_unmatched.
--
-- A null slot is that of a status without a reference: it is looked up by its wamid. With a null
-- p_webapp nothing is said of the listener. Returns how many rows are new in the inbox, and how many
-- new ones are of a wamid that nobody knows (yet).
create function receive_cloud(
    p_webapp uuid, p_broken boolean, p_meta bigint, p_inbound real,
    p_slot smallint[], p_kind smallint[], p_key text[], p_id bytea[], p_attempt smallint[],
    p_wamid text[], p_recipient text[], p_payload bytea[], p_contact bytea[],
    p_gone text[], p_user text[], p_wa_id text[], p_alias text[], p_parent text[],
    p_username text[], p_name text[])
returns table (inserted integer, unmatched integer) language plpgsql volatile as $$
begin
    inserted := 0;
    unmatched := 0;
    if cardinality(p_user) > 0 or cardinality(p_gone) > 0 then
        perform learn_identities(p_gone, p_user, p_wa_id, p_alias, p_parent, p_username, p_name);
    end if;
    if array_position(p_slot, null) is not null then
        -- At once for all of them: asked about twice, an id recorded in between would be in neither.
        select array_agg(coalesce(f.slot, u.slot) order by f.n),
               array_agg(coalesce(f.id, u.id) order by f.n),
               array_agg(coalesce(f.attempt, u.attempt) order by f.n)
          into p_slot, p_id, p_attempt
          from unnest(p_slot, p_id, p_attempt, p_wamid)
               with ordinality as f(slot, id, attempt, wamid, n)
          left join upstream_id u on f.slot is null and u.wamid = f.wamid;
    end if;
    insert into cloud_inbox (n, slot, kind, key, id, attempt, wamid, recipient, payload, contact)
    overriding system value
    select f.n, f.slot, f.kind, f.key, f.id, f.attempt, f.wamid, f.recipient, f.payload, f.contact
      from (select nextval('cloud_inbox_n_seq') as n, e.*
              from unnest(p_slot, p_kind, p_key, p_id, p_attempt, p_wamid, p_recipient, p_payload,
                          p_contact)
                as e(slot, kind, key, id, attempt, wamid, recipient, payload, contact)
             where e.slot is not null) f
     order by f.key collate "C"
    on conflict (key) do nothing;
    get diagnostics inserted = row_count;
    if array_position(p_slot, null) is not null then
        insert into cloud_unmatched (wamid, key, recipient, payload)
        select f.wamid, f.key, f.recipient, f.payload
          from unnest(p_slot, p_key, p_wamid, p_recipient, p_payload)
            as f(slot, key, wamid, recipient, payload)
         where f.slot is null
         order by f.key collate "C"
        on conflict (key) do nothing;
        get diagnostics unmatched = row_count;
    end if;
    if p_webapp is not null then
        perform touch_cloud_path(p_webapp, p_broken, p_meta, p_inbound);
    end if;
    return next;
end $$;

-- Keeps a signed webhook, or an element of one, that could not be read: the newest 100.
create function keep_unreadable(p_reason text, p_body bytea)
returns void language plpgsql volatile as $$
begin
    insert into cloud_quarantine (reason, body) values (p_reason, p_body);
    delete from cloud_quarantine where id <=
        (select id from cloud_quarantine order by id desc offset 100 limit 1);
end $$;
