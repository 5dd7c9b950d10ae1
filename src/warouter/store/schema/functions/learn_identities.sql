-- Writes what is known of users of WhatsApp: one row a user, of which an alias once given stays. A
-- number belongs to one user: whoever had it before has none. p_gone are ids that a user had before,
-- p_now those that it has now. Such a row stays and names its successor. The alias is the successor's
-- from then on, unless that one had its own: then both stand for it. Whoever has not heard yet that an
-- id is of the past changes nothing of it.
--
-- All of it holds within a portfolio; p_portfolio has that of each user, p_gone_portfolio that of each
-- id of the past.
--
-- A user of whom nothing new is told is written again only to say, once in 30 days, that it was seen:
-- retention goes by that (prune_cloud), and most messages tell nothing new.
--
-- An advisory lock lets one session write at a time: with three unique columns no order of the rows
-- keeps two sessions from waiting for each other. Few calls have anything to write.
--
-- Called by: receive_cloud, store/journal/names.py
create function learn_identities(
    p_gone text[], p_now text[], p_gone_portfolio integer[],
    p_portfolio integer[], p_user text[], p_wa_id text[], p_alias text[], p_parent text[],
    p_username text[], p_name text[])
returns void language plpgsql volatile
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
security definer set search_path from current as $$
begin
    perform pg_advisory_xact_lock(7707, 0);
    if cardinality(p_gone) > 0 then
        update contact_identity c set successor = g.now
          from unnest(p_gone_portfolio, p_gone, p_now) as g(portfolio, gone, now)
         where c.portfolio = g.portfolio and c.successor = g.gone and c.user_id <> g.now;
        update contact_identity c set successor = null
          from unnest(p_gone_portfolio, p_now) as g(portfolio, now)
         where c.portfolio = g.portfolio and c.user_id = g.now;
        insert into contact_identity as c (portfolio, user_id, successor)
        select g.portfolio, g.gone, g.now
          from unnest(p_gone_portfolio, p_gone, p_now) as g(portfolio, gone, now)
        on conflict (user_id, portfolio) do update
           set successor = excluded.successor, wa_id = null, seen_at = now(),
               alias = case when (c.portfolio, c.alias) in (select * from unnest(p_portfolio, p_alias))
                            then null else c.alias end;
    end if;
    update contact_identity c set wa_id = null
      from unnest(p_portfolio, p_user, p_wa_id) as f(portfolio, user_id, wa_id)
     where c.portfolio = f.portfolio and c.wa_id = f.wa_id and c.user_id <> f.user_id
       and not exists (select from contact_identity o
                        where o.portfolio = f.portfolio and o.user_id = f.user_id
                          and o.successor is not null);
    insert into contact_identity as c
           (portfolio, user_id, wa_id, alias, parent_user_id, username, name)
    select f.*
      from unnest(p_portfolio, p_user, p_wa_id, p_alias, p_parent, p_username, p_name)
           as f(portfolio, user_id, wa_id, alias, parent, username, name)
     where not exists (
         select from contact_identity o
          where o.portfolio = f.portfolio and o.user_id = f.user_id
            and o.seen_at > now() - interval '30 days'
            and (coalesce(f.wa_id, o.wa_id), coalesce(o.alias, f.alias),
                 coalesce(f.parent, o.parent_user_id), coalesce(f.username, o.username),
                 coalesce(f.name, o.name))
                is not distinct from (o.wa_id, o.alias, o.parent_user_id, o.username, o.name))
    on conflict (user_id, portfolio) do update
       set wa_id = coalesce(excluded.wa_id, c.wa_id), alias = coalesce(c.alias, excluded.alias),
           parent_user_id = coalesce(excluded.parent_user_id, c.parent_user_id),
           username = coalesce(excluded.username, c.username),
           name = coalesce(excluded.name, c.name), seen_at = now()
     where c.successor is null;
end $$;
