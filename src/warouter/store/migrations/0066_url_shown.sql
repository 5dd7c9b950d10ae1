-- runs with: 11
--
-- What is shown of the settings has no credentials of the webhook's URL in it, whoever looks.

-- The webhook's URL without what may be a credential in it: user, password, query and fragment. What is
-- no URL is not shown at all.
--
-- Called by: settings_shown, webhook_shown
create function url_shown(p_url text) returns text language sql volatile
security definer set search_path from current as $$
    select case when p_url ~* '^https?://' then
               regexp_replace(regexp_replace(p_url, '^([^/]*//)[^/?#]*@', '\1•••••@'),
                              '[?#].*$', '?•••••')
           when p_url = '' then '' else '•••••' end
$$;

-- What the settings that the API changes hold, without what is secret in them: of `application` all but
-- the keys of the webhook, which are counted, and credentials in its URL; of any other only that it is
-- set.
--
-- Called by: store/views/setup/application.py
create or replace function settings_shown() returns table (name text, value jsonb) language sql volatile
security definer set search_path from current as $$
    select s.name, case when s.name = 'application' and jsonb_typeof(s.value) = 'object' then
               (s.value - 'webhooks')
               || case when jsonb_typeof(s.value -> 'webhooks') = 'object' then jsonb_build_object(
                      'webhooks', (s.value -> 'webhooks') - 'secrets' - 'url'
                      || case when jsonb_typeof(s.value #> '{webhooks,url}') = 'string' then
                             jsonb_build_object('url', url_shown(s.value #>> '{webhooks,url}'))
                         else '{}' end)
                  else '{}' end
               || case when jsonb_typeof(s.value #> '{webhooks,secrets}') = 'array' then
                      jsonb_build_object('webhooks_secrets_count',
                                         jsonb_array_length(s.value #> '{webhooks,secrets}'))
                  else '{}' end end
      from setting s
$$;

-- The webhook's URL without credentials, how many secrets sign callbacks and since when these: the settings hold the
-- secrets themselves, so who shows the rest has no right to them. Whatever is stored, it is read:
-- what is no text or list counts as not set.
--
-- Called by: store/views/webhook_status.py
create or replace function webhook_shown(out url text, out secrets integer, out secrets_at text)
language sql volatile
security definer set search_path from current as $$
    select coalesce(max(case when jsonb_typeof(w -> 'url') = 'string'
                             then url_shown(w ->> 'url') end), ''),
           coalesce(max(case when jsonb_typeof(w -> 'secrets') = 'array'
                             then jsonb_array_length(w -> 'secrets') end), 0),
           max(case when jsonb_typeof(w -> 'secrets_at') = 'string' then w ->> 'secrets_at' end)
      from (select value -> 'webhooks' as w from setting where name = 'application') s;
$$;

revoke execute on function url_shown(text) from public;
