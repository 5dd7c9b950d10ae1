-- Renews the lease of an incarnation. No row means that the node's row is gone: register again,
-- which never means fenced. `slots` and `epochs` are what is renewed; slots with a successor are
-- listed in `handing` and are not renewed. The commit is not waited for, since a beat carries
-- nothing that could be lost.
--
-- Called by: builds up to 0002 (they do not run on this schema any more)
create function beat(p_incarnation uuid, p_upstream_ok boolean)
returns table (slots smallint[], epochs bigint[], handing smallint[], handing_epochs bigint[],
               map_version bigint, settings_version bigint)
language plpgsql volatile
security definer set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update beat set counter = counter + 1, upstream_ok = p_upstream_ok
     where incarnation = p_incarnation;
    if not found then
        return;
    end if;
    return query
        select coalesce(array_agg(s.slot) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.slot) filter (where s.successor is not null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is not null), '{}'),
               (select m.version from shard_map m),
               (select c.version from change c where c.what = 'settings')
          from slot s where s.owner = p_incarnation;
end $$;

-- Does the same, with the coreapps that a webapp has no link to.
--
-- Called by: builds from 0003 to 0012
create function beat(p_incarnation uuid, p_upstream_ok boolean, p_unreached uuid[])
returns table (slots smallint[], epochs bigint[], handing smallint[], handing_epochs bigint[],
               map_version bigint, settings_version bigint)
language plpgsql volatile
security definer set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update beat set counter = counter + 1, upstream_ok = p_upstream_ok, unreached = p_unreached
     where incarnation = p_incarnation;
    if not found then
        return;
    end if;
    return query
        select coalesce(array_agg(s.slot) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.slot) filter (where s.successor is not null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is not null), '{}'),
               (select m.version from shard_map m),
               (select c.version from change c where c.what = 'settings')
          from slot s where s.owner = p_incarnation;
end $$;

-- Does the same, with whether a coreapp can write its journals.
--
-- Called by: builds from 0013 to 0019
create function beat(
    p_incarnation uuid, p_upstream_ok boolean, p_unreached uuid[], p_journal_ok boolean)
returns table (slots smallint[], epochs bigint[], handing smallint[], handing_epochs bigint[],
               map_version bigint, settings_version bigint)
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
    return query
        select coalesce(array_agg(s.slot) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is null), '{}'),
               coalesce(array_agg(s.slot) filter (where s.successor is not null), '{}'),
               coalesce(array_agg(s.epoch) filter (where s.successor is not null), '{}'),
               (select m.version from shard_map m),
               (select c.version from change c where c.what = 'settings')
          from slot s where s.owner = p_incarnation;
end $$;

-- Does the same, with the counter of users and tokens. p_owns: the caller may own slots; for one that
-- may not none are looked up.
--
-- Called by: store/beats.py, store/election.py, beat_with_moves
create function beat(p_incarnation uuid, p_upstream_ok boolean, p_unreached uuid[],
                     p_journal_ok boolean, p_owns boolean)
returns table (slots smallint[], epochs bigint[], handing smallint[], handing_epochs bigint[],
               map_version bigint, settings_version bigint, auth_version bigint)
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
