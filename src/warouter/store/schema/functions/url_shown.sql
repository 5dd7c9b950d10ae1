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
