-- Writes the rows of a process that starts (node and beat). Doing it again changes nothing.
--
-- Called by: store/beats.py
create function register_node(
    p_incarnation uuid, p_name text, p_role text, p_host text, p_port integer, p_link_key bytea,
    p_fingerprint text, p_version text, p_hash_name text, p_hash_version integer, p_pid integer)
returns void language plpgsql volatile as $$
begin
    insert into node (incarnation, name, role, host, port, link_key, fingerprint, version,
                      hash_name, hash_version, pid)
    values (p_incarnation, p_name, p_role, p_host, p_port, p_link_key, p_fingerprint, p_version,
            p_hash_name, p_hash_version, p_pid)
    on conflict (incarnation) do nothing;
    insert into beat (incarnation, counter) values (p_incarnation, 0) on conflict do nothing;
    perform pg_notify('warouter', 'nodes');
end $$;
