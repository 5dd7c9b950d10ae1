-- True if a message in the journal is of a template, with p_name of that one; false if it is not there.
--
-- Called by: store/views/doubts.py, store/views/doubt_choice.py, store/views/doubt_preview.py
create function of_template(p_slot smallint, p_seq bigint, p_name text default null) returns boolean
language plpgsql volatile
security definer set search_path from current as $$
declare
    found bytea := (select m.body from message m
                     where m.slot = p_slot and m.seq = p_seq
                       and position('"template"'::bytea in m.body) > 0
                       and (p_name is null
                            or position(convert_to('"' || p_name || '"', 'UTF8') in m.body) > 0));
begin
    if p_name is null or found is null then
        return found is not null;
    end if;
    begin
        return coalesce(convert_from(found, 'UTF8')::json -> 'template' ->> 'name' = p_name, false);
    exception when data_exception then  -- text that PostgreSQL cannot take
        return false;
    end;
end $$;
