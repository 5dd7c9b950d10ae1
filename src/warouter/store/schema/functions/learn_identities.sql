-- Writes what is known of users of WhatsApp: one row a user, of which an alias once given stays. A
-- number belongs to one user: whoever had it before has none. p_gone are ids that a user had before.
--
-- An advisory lock lets one session write at a time: with three unique columns no order of the rows
-- keeps two sessions from waiting for each other. Few calls have anything to write.
--
-- Called by: receive_cloud, store/journal/names.py
create function learn_identities(
    p_gone text[], p_user text[], p_wa_id text[], p_alias text[], p_parent text[],
    p_username text[], p_name text[])
returns void language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
security definer set search_path from current as $$
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
