-- Trigger function: takes the size of deleted files off media_total.
--
-- Called by: the trigger of tables/media.sql
create function media_gone() returns trigger language plpgsql
security definer set search_path from current as $$
begin
    update media_total set bytes = bytes - (select coalesce(sum(size), 0) from gone);
    return null;
end $$;
