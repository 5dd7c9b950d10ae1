-- Trigger function for rows of a number's users, tokens and keys: as bump with 'auth', and notes the
-- counter's new value in the number's row, so that caches read only the changed numbers anew.
--
-- Whoever changes takes the row of table change first (bounded.changing), so values ascend in the
-- order of commits: who has read up to one misses nothing.
--
-- Called by: the triggers of tables/access.sql
create function bump_auth() returns trigger language plpgsql
security definer set search_path from current as $$
declare
    now_at bigint;
begin
    update change set version = version + 1 where what = 'auth' returning version into now_at;
    update number set auth_version = now_at
     where id = case when tg_op = 'DELETE' then old.number else new.number end;
    perform pg_notify('warouter', 'auth');
    return null;
end $$;
