-- runs with: 2
--
-- Webapps say with their beats which coreapps they have no link to, and a planned move says why.
-- Processes of the version before go on with the functions they know: those that they call keep
-- their names and arguments.

alter table beat add column unreached uuid[] not null default '{}';
alter table slot add column why text;                -- of the successor; null: an ordinary handover

-- As beat(uuid, boolean), with what a webapp reports.
create function beat(p_incarnation uuid, p_upstream_ok boolean, p_unreached uuid[])
returns table (slots smallint[], epochs bigint[], handing smallint[], handing_epochs bigint[],
               map_version bigint, settings_version bigint)
language plpgsql volatile as $$
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

create or replace function change_owner(
    p_slot smallint, p_to uuid, p_term bigint, p_reason text, p_age_ms integer, p_above bigint)
returns bigint language plpgsql volatile as $$
declare
    was slot;
    raised bigint;
begin
    select * into was from slot s where s.slot = p_slot;
    raised := next_number(greatest(was.epoch, p_above));
    update slot s set owner = p_to, successor = null, why = null, epoch = raised
     where s.slot = p_slot;
    insert into owner_log (slot, from_incarnation, to_incarnation, from_node, to_node, epoch, term,
                           reason, observed_age_ms)
    values (p_slot, was.owner, p_to, (select name from node where incarnation = was.owner),
            (select name from node where incarnation = p_to), raised, p_term,
            case p_reason when 'handover' then coalesce(was.why, p_reason) else p_reason end,
            p_age_ms);
    return raised;
end $$;

-- As name_successors without reasons, which says nothing of why.
create function name_successors(
    p_term bigint, p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_to uuid[],
    p_reasons text[], p_request uuid, p_shards integer)
returns void language plpgsql volatile as $$
begin
    perform name_successors(p_term, p_incarnation, p_slots, p_epochs, p_to, p_request, p_shards);
    update slot o set why = t.reason
      from unnest(p_slots, p_epochs, p_reasons) as t(slot, epoch, reason)
     where o.slot = t.slot and o.epoch = t.epoch;
end $$;

-- Slots that left an owner in trouble within the last minute. One that had to be taken from it by
-- force counts as well.
create function moved_lately() returns smallint[] language sql volatile as $$
    select coalesce(array_agg(distinct slot), '{}') from owner_log
     where at > now() - interval '1 minute'  -- stable, so that the index is used
       and reason in ('unreachable', 'upstream', 'overdue')
$$;
