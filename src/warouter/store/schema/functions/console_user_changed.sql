-- Trigger function: ends all sessions of a user at the console when password, role or the duty to
-- change the password is another one, whoever has changed it. With the user they go by their foreign key.
--
-- Called by: the trigger console_user_changed of tables/access.sql
create function console_user_changed() returns trigger language plpgsql volatile
security definer set search_path from current as $$
begin
    delete from console_session s where s.number = new.number and s.username = new.username;
    return null;
end $$;
