-- Notes when the slots that an incarnation was given acted for it first: p_ages_ms ago. Only of a
-- slot's last change of owner, and once. It guards nothing; it is for people, who ask how long a
-- slot paused.
--
-- Called by: store/history.py
create function note_opened(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[], p_ages_ms integer[])
returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    update owner_log l
       set opened_at = greatest(l.at, clock_timestamp() - o.age_ms * interval '1 millisecond')
      from unnest(p_slots, p_epochs, p_ages_ms) as o(slot, epoch, age_ms)
     where l.id = (select n.id from owner_log n where n.slot = o.slot order by n.id desc limit 1)
       and l.epoch = o.epoch and l.to_incarnation = p_incarnation and l.opened_at is null;
end $$;
