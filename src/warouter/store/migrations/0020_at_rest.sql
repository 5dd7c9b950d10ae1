-- runs with: 11
--
-- A cluster at rest asks less. A beat also tells whether users or tokens have changed, which webapps
-- asked for by themselves; a process that owns nothing has no slots looked up for it. Reports are
-- written on the sessions that beat, so a report may not wait there.

-- As before, with the counter of users and tokens. p_owns: the caller may own slots; for one that may
-- not none are looked up.
create function beat(p_incarnation uuid, p_upstream_ok boolean, p_unreached uuid[],
                     p_journal_ok boolean, p_owns boolean)
returns table (slots smallint[], epochs bigint[], handing smallint[], handing_epochs bigint[],
               map_version bigint, settings_version bigint, auth_version bigint)
language plpgsql volatile as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update beat set counter = counter + 1, upstream_ok = p_upstream_ok, unreached = p_unreached,
                    journal_ok = p_journal_ok
     where incarnation = p_incarnation;
    if not found then
        return;
    end if;
    if not p_owns then
        return query
            select '{}'::smallint[], '{}'::bigint[], '{}'::smallint[], '{}'::bigint[],
                   (select m.version from shard_map m),
                   (select c.version from change c where c.what = 'settings'),
                   (select c.version from change c where c.what = 'auth');
        return;
    end if;
    return query
        select coalesce(array_agg(s.slot) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.slot) filter (where s.successor is not null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is not null), '{}'),
               (select m.version from shard_map m),
               (select c.version from change c where c.what = 'settings'),
               (select c.version from change c where c.what = 'auth')
          from slot s where s.owner = p_incarnation;
end $$;

-- Writes what a process says of itself, or fails at once where that would have to wait.
create function write_report(p_incarnation uuid, p_node text, p_role text, p_body jsonb)
returns void language plpgsql volatile set lock_timeout = '50ms' as $$
begin
    delete from report
     where incarnation <> p_incarnation
       and at not between now() - interval '1 minute' and now() + interval '1 minute';
    insert into report (incarnation, node, role, body)
    values (p_incarnation, p_node, p_role, p_body)
    on conflict (incarnation) do update set at = now(), body = excluded.body;
end $$;
