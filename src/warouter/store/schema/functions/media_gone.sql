-- Trigger function: takes the size of deleted files off the totals of their numbers, in the order that
-- add_media has too.
--
-- Called by: the trigger of tables/media.sql
create function media_gone() returns trigger language plpgsql
security definer set search_path from current as $$
declare
    lost record;
begin
    for lost in select number, sum(size) as bytes from gone group by number order by number loop
        update media_total set bytes = bytes - lost.bytes where number = lost.number;
    end loop;
    return null;
end $$;
