-- Notes which token of a number an owner has, by its hash, and says why the number is stopped for it:
-- no row if it is not. A stop ends with the last owner that has its token; who wrote it says so within
-- 10 s.
--
-- Called by: store/cloud/number.py
create function hold_token(p_incarnation uuid, p_number integer, p_token bytea)
returns table (code integer, details text)
language plpgsql volatile
security definer set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update cloud_share o set token_hash = p_token
     where o.incarnation = p_incarnation and o.number = p_number
       and o.token_hash is distinct from p_token;
    delete from cloud_pause p
     where p.number = p_number and p.token_hash <> p_token
       and p.at < clock_timestamp() - interval '10 s'
       and not exists (select from cloud_share o
                        where o.number = p_number and o.token_hash = p.token_hash
                          and o.seen_at > clock_timestamp() - interval '10 s');
    return query select p.code, p.details from cloud_pause p
                  where p.number = p_number and p.token_hash = p_token;
end $$;
