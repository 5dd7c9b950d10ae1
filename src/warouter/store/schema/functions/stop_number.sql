-- Stops the number for one token, which is named by its hash: no owner that has it sends until somebody
-- has acted. Returns whether this is news.
--
-- Called by: store/cloud/number.py
create function stop_number(p_code integer, p_details text, p_token bytea)
returns boolean language plpgsql volatile
security definer set search_path from current as $$
declare
    news boolean;
begin
    insert into cloud_pause as c (code, details, token_hash) values (p_code, p_details, p_token)
    on conflict (token_hash) do update set code = excluded.code, details = excluded.details
    returning xmax = 0 into news;
    return news;
end $$;
