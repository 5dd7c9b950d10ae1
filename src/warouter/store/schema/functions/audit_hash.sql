-- Returns the hash of a row of the audit log: SHA-256 of the previous row's hash and of each field,
-- as four bytes of length and the text in UTF-8, or as ff ff ff ff if it is null. The lengths keep
-- two rows from having the same bytes. store/views/chain.py computes the same.
--
-- Called by: audit_append
create function audit_hash(p_previous bytea, p_fields text[])
returns bytea language plpgsql volatile
security definer set search_path from current as $$
declare
    encoded bytea;
    field text;
begin
    foreach field in array p_fields loop
        encoded := convert_to(field, 'UTF8');
        p_previous := p_previous
            || coalesce(int4send(octet_length(encoded)) || encoded, '\xffffffff'::bytea);
    end loop;
    return sha256(p_previous);
end $$;
