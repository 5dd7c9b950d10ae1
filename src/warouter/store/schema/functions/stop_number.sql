-- Stops a number for one token, which is named by its hash: no owner that has it sends for the number
-- until somebody has acted. Returns whether this is news.
--
-- Called by: store/cloud/number.py
create function stop_number(p_number integer, p_code integer, p_details text, p_token bytea)
returns boolean language plpgsql volatile
security definer set search_path from current as $$
declare
    news boolean;
begin
    insert into cloud_pause as c (number, code, details, token_hash)
    values (p_number, p_code, p_details, p_token)
    on conflict (number, token_hash) do update set code = excluded.code, details = excluded.details
    returning xmax = 0 into news;
    return news;
end $$;
