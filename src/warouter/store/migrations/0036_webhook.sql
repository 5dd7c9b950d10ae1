-- runs with: 11
--
-- What coreapps say of the webhook, for consoles: the last failed POSTs, the last test.

-- Beside the report, and written only when it has changed: up to 40 KiB with what the receiver has
-- answered, which no page of the API shows.
alter table report add column webhook jsonb;

-- Writes what a coreapp says of the webhook beside its report: the last failures, which quote what
-- the receiver has answered. The report keeps it until the coreapp says another, or is forgotten.
--
-- Called by: store/reports.py
create function write_webhook(p_incarnation uuid, p_webhook jsonb)
returns void language sql volatile set lock_timeout = '50ms'
security definer set search_path from current as $$
    update report set webhook = p_webhook where incarnation = p_incarnation;
$$;

-- The webhook's URL, how many secrets sign callbacks and since when these: the settings hold the
-- secrets themselves, so who shows the rest has no right to them. Whatever is stored, it is read:
-- what is no text or list counts as not set.
--
-- Called by: store/views/webhook_status.py
create function webhook_shown(out url text, out secrets integer, out secrets_at text)
language sql volatile
security definer set search_path from current as $$
    select coalesce(max(case when jsonb_typeof(w -> 'url') = 'string' then w ->> 'url' end), ''),
           coalesce(max(case when jsonb_typeof(w -> 'secrets') = 'array'
                             then jsonb_array_length(w -> 'secrets') end), 0),
           max(case when jsonb_typeof(w -> 'secrets_at') = 'string' then w ->> 'secrets_at' end)
      from (select value -> 'webhooks' as w from setting where name = 'application') s;
$$;
