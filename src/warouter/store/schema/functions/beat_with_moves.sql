-- Renews the lease of an owner as beat does, and lists in `moving` those of its slots that are to move:
-- it begins no request for them.
--
-- Called by: store/beats.py
create function beat_with_moves(p_incarnation uuid, p_upstream_ok boolean, p_unreached uuid[],
                                p_journal_ok boolean, p_owns boolean)
returns table (slots smallint[], epochs bigint[], handing smallint[], handing_epochs bigint[],
               map_version bigint, settings_version bigint, auth_version bigint, moving smallint[])
language plpgsql volatile
security definer set search_path from current as $$
begin
    return query
        select b.*, array(select s.slot from slot s
                           where s.owner = p_incarnation and s.moving > 0 order by s.slot)
          from beat(p_incarnation, p_upstream_ok, p_unreached, p_journal_ok, p_owns) b;
end $$;
