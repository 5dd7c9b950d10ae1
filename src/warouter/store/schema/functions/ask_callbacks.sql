-- Asks every coreapp for a test callback ('test'), or to try at once what waits for the webhook
-- ('retry'): a row, and in the same transaction one of the audit log, which says who asked. Returns
-- its number, by which the outcomes of a test are known. Coreapps hear with their beats that the
-- counter 'settings' has moved, and read the rows: a NOTIFY alone has them do nothing.
--
-- The counter's row keeps who asks at the same time waiting, so rows appear in the order of their
-- numbers.
--
-- Called by: store/account/callback_requests.py
create function ask_callbacks(p_what text, p_actor text, p_source text) returns bigint
language plpgsql volatile
security definer set search_path from current as $$
declare
    made bigint;
begin
    update change set version = version + 1 where what = 'settings';
    delete from callback_request where at < now() - interval '1 day';
    insert into callback_request (what) values (p_what) returning id into made;
    perform pg_notify('warouter', 'settings');
    insert into audit (actor, action, subject, source, outcome)
    values (p_actor, case p_what when 'test' then 'test webhook' else 'retry callbacks' end,
            'request ' || made, p_source, 'done');
    return made;
end $$;
