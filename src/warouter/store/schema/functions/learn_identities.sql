-- Writes what is known of users of WhatsApp: one row a user, of which an alias once given stays. A
-- number belongs to one user: whoever had it before has none. p_gone are ids that a user had before,
-- each followed by the one that it has now. Such a row stays and names its successor. The alias is the
-- successor's from then on, unless that one had its own: then both stand for it. Whoever has not heard
-- yet that an id is of the past changes nothing of it.
--
-- A user of whom nothing new is told is written again only to say, once in 30 days, that it was seen:
-- retention goes by that (prune_cloud), and most messages tell nothing new.
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
declare
    olds text[] := array(select p_gone[n] from generate_series(1, cardinality(p_gone), 2) n);
    news text[] := array(select p_gone[n] from generate_series(2, cardinality(p_gone), 2) n);
begin
    perform pg_advisory_xact_lock(7707, 0);
    if cardinality(olds) > 0 then
        update contact_identity c set successor = g.new
          from unnest(olds, news) as g(old, new)
         where c.successor = g.old and c.user_id <> g.new;
        update contact_identity c set successor = null where c.user_id = any (news);
        insert into contact_identity as c (user_id, successor)
        select g.old, g.new from unnest(olds, news) as g(old, new)
        on conflict (user_id) do update
           set successor = excluded.successor, wa_id = null, seen_at = now(),
               alias = case when c.alias = any (p_alias) then null else c.alias end;
    end if;
    update contact_identity c set wa_id = null
      from unnest(p_user, p_wa_id) as f(user_id, wa_id)
     where c.wa_id = f.wa_id and c.user_id <> f.user_id
       and not exists (select from contact_identity o
                        where o.user_id = f.user_id and o.successor is not null);
    insert into contact_identity as c
           (user_id, wa_id, alias, parent_user_id, username, name)
    select f.*
      from unnest(p_user, p_wa_id, p_alias, p_parent, p_username, p_name)
           as f(user_id, wa_id, alias, parent, username, name)
     where not exists (
         select from contact_identity o
          where o.user_id = f.user_id and o.seen_at > now() - interval '30 days'
            and (coalesce(f.wa_id, o.wa_id), coalesce(o.alias, f.alias),
                 coalesce(f.parent, o.parent_user_id), coalesce(f.username, o.username),
                 coalesce(f.name, o.name))
                is not distinct from (o.wa_id, o.alias, o.parent_user_id, o.username, o.name))
    on conflict (user_id) do update
       set wa_id = coalesce(excluded.wa_id, c.wa_id), alias = coalesce(c.alias, excluded.alias),
           parent_user_id = coalesce(excluded.parent_user_id, c.parent_user_id),
           username = coalesce(excluded.username, c.username),
           name = coalesce(excluded.name, c.name), seen_at = now()
     where c.successor is null;
end $$;
