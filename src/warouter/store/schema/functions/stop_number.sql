-- Stops the number: no owner sends until somebody has acted. It holds for one token only, which is
-- named by its hash. Returns whether this is news.
--
-- Called by: store/cloud/number.py
create function stop_number(p_code integer, p_details text, p_token bytea)
returns boolean language plpgsql volatile
security definer set search_path from current as $$
declare
    was bytea;
begin
    select token_hash into was from cloud_pause;
    insert into cloud_pause as c (code, details, token_hash) values (p_code, p_details, p_token)
    on conflict (one) do update
       set code = excluded.code, details = excluded.details, token_hash = excluded.token_hash,
           at = case when c.token_hash = excluded.token_hash then c.at else clock_timestamp() end;
    return was is distinct from p_token;
end $$;
