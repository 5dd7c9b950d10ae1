-- Writes what a process says of itself, and removes the row of whoever has said nothing for a minute:
-- it was killed. Called between two beats, on their session: where it would have to wait it fails
-- (lock_not_available), and the next report replaces this one.
--
-- Called by: store/reports.py
create function write_report(p_incarnation uuid, p_node text, p_role text, p_body jsonb)
returns void language plpgsql volatile set lock_timeout = '50ms'
security definer set search_path from current as $$
begin
    delete from report
     where incarnation <> p_incarnation
       and at not between now() - interval '1 minute' and now() + interval '1 minute';
    insert into report (incarnation, node, role, body)
    values (p_incarnation, p_node, p_role, p_body)
    on conflict (incarnation) do update set at = now(), body = excluded.body;
end $$;
