-- Trigger function: raises the counter that is its argument in table change and sends a NOTIFY with
-- the same word, so that caches of users, tokens and settings are read again.
--
-- Called by: the triggers of tables/access.sql and tables/settings.sql
create function bump() returns trigger language plpgsql
security definer set search_path from current as $$
begin
    update change set version = version + 1 where what = tg_argv[0];
    perform pg_notify('warouter', tg_argv[0]);
    return null;
end $$;
