-- Writes what a coreapp says of the webhook beside its report: the last failures, which quote what
-- the receiver has answered. The report keeps it until the coreapp says another, or is forgotten.
--
-- Called by: store/reports.py
create function write_webhook(p_incarnation uuid, p_webhook jsonb)
returns void language sql volatile set lock_timeout = '50ms'
security definer set search_path from current as $$
    update report set webhook = p_webhook where incarnation = p_incarnation;
$$;
