-- Writes the rows of a process that starts (node and beat). Doing it again changes nothing but the
-- upstream that it is set to, and the certificate (DER) that it shows to those it dials on other hosts, which
-- may come later than the row; empty: it has none. Once there it stays: nobody can put another one in its
-- place.
--
-- Where each kind of process has a login of its own, one cannot register as another, nor can a member of
-- it: a webapp that were taken for a coreapp would be given slots, and messages with them.
--
-- Called by: store/beats.py
create function register_node(
    p_incarnation uuid, p_name text, p_role text, p_host text, p_port integer, p_link_key bytea,
    p_fingerprint text, p_version text, p_hash_name text, p_hash_version integer, p_pid integer,
    p_upstream text, p_certificate bytea)
returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    if exists (select from database_role d join pg_roles r on r.rolname = d.name
                where d.kind in ('webapp', 'coreapp', 'master')
                  and pg_has_role(session_user, r.oid, 'member')
               having count(*) > 0 and not bool_or(d.kind = p_role)) then
        raise exception 'login % is not that of a %', session_user, p_role
              using errcode = 'insufficient_privilege';
    end if;
    insert into node as n (incarnation, name, role, host, port, link_key, fingerprint, version,
                           hash_name, hash_version, pid, upstream, certificate)
    values (p_incarnation, p_name, p_role, p_host, p_port, p_link_key, p_fingerprint, p_version,
            p_hash_name, p_hash_version, p_pid, p_upstream, p_certificate)
    on conflict (incarnation) do update
       set upstream = excluded.upstream,
           certificate = case n.certificate when '' then excluded.certificate
                              else n.certificate end
     where n.role = p_role
       and (n.upstream <> excluded.upstream or n.certificate = '' and excluded.certificate <> '');
    insert into beat (incarnation, counter) values (p_incarnation, 0) on conflict do nothing;
    perform pg_notify('warouter', 'nodes');
end $$;
