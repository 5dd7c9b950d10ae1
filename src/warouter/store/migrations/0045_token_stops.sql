-- runs with: 39
--
-- A stop of the number belongs to the token that was refused: owners that were given another one send.
alter table cloud_pause drop constraint cloud_pause_pkey;
alter table cloud_pause add primary key (token_hash);
alter table cloud_share add column token_hash bytea;

-- Notes which token an owner has, by its hash, and says why the number is stopped for it: no row if it
-- is not. A stop ends with the last owner that has its token.
--
-- Called by: store/cloud/number.py
create function hold_token(p_incarnation uuid, p_token bytea)
returns table (code integer, details text)
language plpgsql volatile
security definer set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update cloud_share o set token_hash = p_token
     where o.incarnation = p_incarnation and o.token_hash is distinct from p_token;
    delete from cloud_pause p
     where p.token_hash <> p_token
       and not exists (select from cloud_share o
                        where o.token_hash = p.token_hash
                          and o.seen_at > clock_timestamp() - interval '10 s');
    return query select p.code, p.details from cloud_pause p where p.token_hash = p_token;
end $$;

-- Stops the number for one token, which is named by its hash: no owner that has it sends until somebody
-- has acted. Returns whether this is news.
--
-- Called by: store/cloud/number.py
create or replace function stop_number(p_code integer, p_details text, p_token bytea)
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

-- What an owner wants to send, and what all of them want, so that each can compute its share of the
-- number's rate; with the number's level, the inbound messages a second, and the templates of which
-- Meta holds messages back. Why it is stopped is hold_token's to say: here is one of the stops.
--
-- The commit is not waited for: a lost one is said again a second later.
--
-- Called by: store/cloud/number.py
create or replace function share_number(p_incarnation uuid, p_demand real)
returns table (level integer, read_age float8, inbound real, owners uuid[], demands real[],
               ages float8[], stop_code integer, stop_details text, stop_token bytea,
               held text[])
language plpgsql volatile
security definer set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into cloud_share (incarnation, demand) values (p_incarnation, p_demand)
    on conflict (incarnation) do update
       set demand = excluded.demand, seen_at = clock_timestamp();
    return query
        select n.level, extract(epoch from clock_timestamp() - n.read_at)::float8,
               (select coalesce(sum(p.inbound), 0)::real from cloud_path p
                 where p.left_at is null and p.seen_at > clock_timestamp() - interval '5 s'),
               s.owners, s.demands, s.ages, c.code, c.details, c.token_hash,
               array(select h.template from cloud_held h
                      where h.at > clock_timestamp() - interval '7 days')
          from (select array_agg(o.incarnation) as owners, array_agg(o.demand) as demands,
                       array_agg(extract(epoch from clock_timestamp() - o.seen_at)::float8) as ages
                  from cloud_share o
                 where o.seen_at > clock_timestamp() - interval '10 s'
                   and (o.incarnation = p_incarnation
                        or exists (select from slot w where w.owner = o.incarnation))) s
          left join cloud_number n on true
          left join (select * from cloud_pause order by at limit 1) c on true;
end $$;
