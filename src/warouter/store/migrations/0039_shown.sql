-- runs with: 11
--
-- What the console and the operator's commands show of the settings and of the number, without their
-- secrets: the tables themselves are not for them.

-- What the settings that the API changes hold, without what is secret in them: of `application` all but
-- the keys of the webhook, which are counted; of any other only that it is set.
--
-- Called by: store/views/setup/application.py
create function settings_shown() returns table (name text, value jsonb) language sql volatile
security definer set search_path from current as $$
    select s.name, case when s.name = 'application' and jsonb_typeof(s.value) = 'object' then
               (s.value #- '{webhooks,secrets}')
               || case when jsonb_typeof(s.value #> '{webhooks,secrets}') = 'array' then
                      jsonb_build_object('webhooks_secrets_count',
                                         jsonb_array_length(s.value #> '{webhooks,secrets}'))
                  else '{}' end end
      from setting s
$$;

-- The registered number without its keys and its pin: whether two-step verification is on, and the
-- name and the end (unix seconds) that its certificate says, null if it has none that can be read.
--
-- Called by: store/views/setup/registration_status.py
create function number_shown() returns table (cc text, phone_number text, registered_at timestamptz,
                                              two_step boolean, cert_name text, cert_ends bigint)
language plpgsql volatile
security definer set search_path from current as $$
declare
    cert text;
    said jsonb;
begin
    select a.cc, a.phone_number, a.registered_at, a.pin_hash is not null, a.cert
      into cc, phone_number, registered_at, two_step, cert from account a;
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

revoke execute on function settings_shown(), number_shown() from public;
