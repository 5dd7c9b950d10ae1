-- The settings of a number that the API changes, without their secrets: `application` whole but for the keys of the
-- webhook, which are counted, and credentials in its URL and in its header fields; of each other
-- setting only that it is set.
--
-- Called by: store/views/setup/application.py
create function settings_shown(p_number integer) returns table (name text, value jsonb)
language sql volatile
security definer set search_path from current as $$
    select s.name, case when s.name = 'application' and jsonb_typeof(s.value) = 'object' then
               (s.value - 'webhooks')
               || case when jsonb_typeof(s.value -> 'webhooks') = 'object' then jsonb_build_object(
                      'webhooks', (s.value -> 'webhooks') - 'secrets' - 'url' - 'registered'
                      || case when jsonb_typeof(s.value #> '{webhooks,url}') = 'string' then
                             jsonb_build_object('url', url_shown(s.value #>> '{webhooks,url}'))
                         else '{}' end)
                  else '{}' end
               || case when jsonb_typeof(s.value #> '{webhooks,secrets}') = 'array' then
                      jsonb_build_object('webhooks_secrets_count',
                                         jsonb_array_length(s.value #> '{webhooks,secrets}'))
                  else '{}' end end
      from setting s where s.number = p_number
$$;
