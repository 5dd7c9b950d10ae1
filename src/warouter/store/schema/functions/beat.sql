-- Renews the lease of an incarnation. No row means that the node's row is gone: register again,
-- which never means fenced. `slots` and `epochs` are what is renewed; slots with a successor are
-- listed in `handing` and are not renewed; `moving` are those that are to move, for which their owner
-- begins no request. p_unreached: coreapps that a webapp has no link to. p_journal_ok: a coreapp can
-- write its journals. p_owns: the caller may own slots; for one that may not none are looked up, nor
-- are the numbers that are `inactive`, of which an owner begins no request. The commit is not waited for,
-- since a beat carries nothing that could be lost.
--
-- Called by: store/beats.py, store/election.py
create function beat(p_incarnation uuid, p_upstream_ok boolean, p_unreached uuid[],
                     p_journal_ok boolean, p_owns boolean)
returns table (slots smallint[], epochs bigint[], handing smallint[], handing_epochs bigint[],
               map_version bigint, settings_version bigint, auth_version bigint, moving smallint[],
               inactive integer[])
language plpgsql volatile
security definer set search_path from current as $$
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
                   (select c.version from change c where c.what = 'auth'), '{}'::smallint[],
                   '{}'::integer[];
        return;
    end if;
    return query
        select coalesce(array_agg(s.slot) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.slot) filter (where s.successor is not null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is not null), '{}'),
               (select m.version from shard_map m),
               (select c.version from change c where c.what = 'settings'),
               (select c.version from change c where c.what = 'auth'),
               coalesce(array_agg(s.slot order by s.slot) filter (where s.moving > 0), '{}'),
               array(select n.id from number n where n.state <> 'active' order by n.id)
          from slot s where s.owner = p_incarnation;
end $$;
