-- Returns the hash of a row of the audit log: SHA-256 of the previous row's hash and of each field,
-- as four bytes of length and the text in UTF-8, or as ff ff ff ff if it is null. The lengths keep
-- two rows from having the same bytes. store/views/chain.py computes the same.
--
-- Called by: audit_append
create function audit_hash(p_previous bytea, p_fields text[])
returns bytea language sql stable as $$
    select sha256(p_previous || string_agg(
               coalesce(int4send(octet_length(convert_to(f, 'UTF8'))) || convert_to(f, 'UTF8'),
                        '\xffffffff'::bytea), ''::bytea order by n))
      from unnest(p_fields) with ordinality as x (f, n)
$$;
