-- The URL of a number's webhook without credentials, how many secrets sign callbacks and since when these: the settings
-- hold the secrets themselves, so who shows the rest has no right to them. Of the header fields of a registered webhook
-- the names, sorted; null if none is registered for the URL. Whatever is stored, it is read: what is no text, list or
-- object counts as not set.
--
-- Called by: store/views/webhook_status.py
create function webhook_shown(p_number integer, out url text, out secrets integer,
                              out secrets_at text, out headers text[])
language sql volatile
security definer set search_path from current as $$
    select coalesce(max(case when jsonb_typeof(w -> 'url') = 'string'
                             then url_shown(w ->> 'url') end), ''),
           coalesce(max(case when jsonb_typeof(w -> 'secrets') = 'array'
                             then jsonb_array_length(w -> 'secrets') end), 0),
           max(case when jsonb_typeof(w -> 'secrets_at') = 'string' then w ->> 'secrets_at' end),
           max(case when w #> '{registered,url}' = w -> 'url'
                         and jsonb_typeof(w #> '{registered,headers}') = 'object'
                    then array(select jsonb_object_keys(w #> '{registered,headers}') order by 1) end)
      from (select value -> 'webhooks' as w from setting
             where name = 'application' and number = p_number) s;
$$;
