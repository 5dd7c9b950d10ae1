-- Notes an owner's demand for a number and returns the demands of all, so that each can compute its
-- share of the number's rate, with the number's level, the inbound messages a second, the templates of
-- its account (p_account) of which Meta holds messages back, and one of the stops; hold_token returns
-- the stop of the owner's own token.
--
-- The inbound messages are those of all numbers: what a webapp says of them names none, and a number
-- that sends less than it might is on the safe side.
--
-- The commit is not waited for: the owner notes its demand again a second later.
--
-- Called by: store/cloud/number.py
create function share_number(
    p_incarnation uuid, p_number integer, p_account text, p_demand real)
returns table (level integer, read_age float8, inbound real, owners uuid[], demands real[],
               ages float8[], stop_code integer, stop_details text, stop_token bytea,
               held text[])
language plpgsql volatile
security definer set search_path from current as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into cloud_share (incarnation, number, demand)
    values (p_incarnation, p_number, p_demand)
    on conflict (incarnation, number) do update
       set demand = excluded.demand, seen_at = clock_timestamp();
    return query
        select n.level, extract(epoch from clock_timestamp() - n.read_at)::float8,
               (select coalesce(sum(p.inbound), 0)::real from cloud_path p
                 where p.left_at is null and p.seen_at > clock_timestamp() - interval '5 s'),
               s.owners, s.demands, s.ages, c.code, c.details, c.token_hash,
               array(select h.template from cloud_held h
                      where h.account = p_account
                        and h.at > clock_timestamp() - interval '7 days')
          from (select array_agg(o.incarnation) as owners, array_agg(o.demand) as demands,
                       array_agg(extract(epoch from clock_timestamp() - o.seen_at)::float8) as ages
                  from cloud_share o
                 where o.number = p_number
                   and o.seen_at > clock_timestamp() - interval '10 s'
                   and (o.incarnation = p_incarnation
                        or exists (select from slot w where w.owner = o.incarnation))) s
          left join cloud_number n on n.number = p_number
          left join (select * from cloud_pause p where p.number = p_number
                      order by p.at limit 1) c on true;
end $$;
