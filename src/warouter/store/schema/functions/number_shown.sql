-- The phone number that a number has registered, without its keys and its pin: whether two-step verification is on, and the
-- name and the end (unix seconds) that its certificate says, null if it has none that can be read.
--
-- Called by: store/views/setup/registration_status.py
create function number_shown(p_number integer)
returns table (cc text, phone_number text, registered_at timestamptz, two_step boolean,
               cert_name text, cert_ends bigint)
language plpgsql volatile
security definer set search_path from current as $$
declare
    cert text;
    said jsonb;
begin
    select a.cc, a.phone_number, a.registered_at, a.pin_hash is not null, a.cert
      into cc, phone_number, registered_at, two_step, cert from account a
     where a.number = p_number;
    if not found then
        return;
    end if;
    begin
        -- Behind a signature of 64 bytes: upstream/authority.py.
        said := convert_from(substr(decode(cert, 'base64'), 65), 'UTF8')::jsonb;
        cert_name := said ->> 'name';
        cert_ends := greatest(0, least((said ->> 'expires')::bigint, 253402300799));  -- years to 9999
    exception when data_exception then
        cert_name := null;
        cert_ends := null;
    end;
    return next;
end $$;
