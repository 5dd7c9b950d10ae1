-- Writes the rows of a process that starts (node and beat). Doing it again changes nothing. Of its
-- upstream it says nothing: builds that call it have the simulator.
--
-- Where each kind of process has a login of its own, one cannot register as another, nor can a member of
-- it: a webapp that were taken for a coreapp would be given slots, and messages with them.
--
-- Called by: register_node, builds up to 0023
create function register_node(
    p_incarnation uuid, p_name text, p_role text, p_host text, p_port integer, p_link_key bytea,
    p_fingerprint text, p_version text, p_hash_name text, p_hash_version integer, p_pid integer)
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
    insert into node (incarnation, name, role, host, port, link_key, fingerprint, version,
                      hash_name, hash_version, pid)
    values (p_incarnation, p_name, p_role, p_host, p_port, p_link_key, p_fingerprint, p_version,
            p_hash_name, p_hash_version, p_pid)
    on conflict (incarnation) do nothing;
    insert into beat (incarnation, counter) values (p_incarnation, 0) on conflict do nothing;
    perform pg_notify('warouter', 'nodes');
end $$;

-- Does the same, with the upstream that the process is set to.
--
-- Called by: register_node, builds up to 0029
create function register_node(
    p_incarnation uuid, p_name text, p_role text, p_host text, p_port integer, p_link_key bytea,
    p_fingerprint text, p_version text, p_hash_name text, p_hash_version integer, p_pid integer,
    p_upstream text)
returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    perform register_node(p_incarnation, p_name, p_role, p_host, p_port, p_link_key, p_fingerprint,
                          p_version, p_hash_name, p_hash_version, p_pid);
    update node n set upstream = p_upstream
     where n.incarnation = p_incarnation and n.role = p_role
       and n.upstream is distinct from p_upstream;
end $$;

-- Does the same, with the certificate (DER) that the process shows to those it dials on other hosts,
-- which may come later than the row; empty: it has none. Once there it stays: nobody can put another
-- one in its place.
--
-- Called by: store/beats.py
create function register_node(
    p_incarnation uuid, p_name text, p_role text, p_host text, p_port integer, p_link_key bytea,
    p_fingerprint text, p_version text, p_hash_name text, p_hash_version integer, p_pid integer,
    p_upstream text, p_certificate bytea)
returns void language plpgsql volatile security definer set search_path from current as $$
begin
    perform register_node(p_incarnation, p_name, p_role, p_host, p_port, p_link_key, p_fingerprint,
                          p_version, p_hash_name, p_hash_version, p_pid, p_upstream);
    update node n set certificate = p_certificate
     where n.incarnation = p_incarnation and n.role = p_role and coalesce(n.certificate, '') = ''
       and n.certificate is distinct from p_certificate;
end $$;
