-- runs with: 11
--
-- Links between hosts are pinned both ways: a coreapp knows the certificates of those who may call.

-- What a webapp or coreapp shows when it dials another host, in DER; empty: it has none. Null: of a
-- build without it, whose processes are let in without one.
alter table node add column certificate bytea;

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

-- Whoever may call the overload before it may call this one, and nobody else.
do $$
declare
    before_it pg_proc;
    guest record;
    mine constant text := 'register_node(uuid, text, text, text, integer, bytea, text, text, text,'
                          ' integer, integer, text, bytea)';
begin
    select p.* into before_it from pg_proc p
     where p.oid = 'register_node(uuid, text, text, text, integer, bytea, text, text, text,'
                   ' integer, integer, text)'::regprocedure;
    if before_it.proacl is null then
        return;  -- everybody
    end if;
    execute format('revoke execute on function %s from public', mine);
    for guest in select distinct case g.grantee when 0 then 'public' else g.grantee::regrole::text end
                     as name
                   from aclexplode(before_it.proacl) g where g.grantee <> before_it.proowner
    loop
        execute format('grant execute on function %s to %s', mine, guest.name);
    end loop;
end $$;
