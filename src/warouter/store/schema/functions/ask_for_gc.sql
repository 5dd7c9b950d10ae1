-- Asks every coreapp to prune now what is settled and old enough. Coreapps hear with their beats
-- that the counter 'settings' has moved, look at 'message_gc', and prune when that has moved.
--
-- Called by: store/history.py
create function ask_for_gc() returns void language sql volatile
security definer set search_path from current as $$
    update change set version = version + 1 where what in ('message_gc', 'settings');
    select pg_notify('warouter', 'settings');
$$;
