-- Trigger function for the numbers themselves: as bump_auth, for a name, a host or a state that is a
-- new one.
--
-- Called by: the trigger number_changed of tables/access.sql
create function bump_number() returns trigger language plpgsql
security definer set search_path from current as $$
begin
    update change set version = version + 1 where what = 'auth' returning version
      into new.auth_version;
    perform pg_notify('warouter', 'auth');
    return new;
end $$;
