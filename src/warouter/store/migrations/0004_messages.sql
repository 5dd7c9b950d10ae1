-- runs with: 3
--
-- Requests that come more than once (Idempotency-Key), messages that end unsent after a time, and
-- ways to one message by its id. A build from before takes no keys and ends no message by its age.

alter table message add column ttl integer;          -- seconds from accepted_at; null: none given
alter table parked_message add column ttl integer;
-- Of a row that was parked before this file: now, so that it ends no earlier than it should.
alter table parked_message add column accepted_at timestamptz not null default now();

create index parked_message_id on parked_message (id);
create index parked_event_key on parked_event (key);
create index dead_letter_key on dead_letter (key);

-- Kept for 24 hours, whatever becomes of the message's row.
create table request_key (
    key        bytea primary key,                    -- SHA-256 of the user and the key given
    id         bytea not null,                       -- of the message that came first with it
    slot       smallint not null,
    request    bytea not null,                       -- SHA-256 of that request's body
    created_at timestamptz not null default now()
);
create index request_key_age on request_key (slot, created_at);

-- As append_messages, for a batch in which a message has a ttl or a key (null: none). Rows: one per
-- frame that was NOT inserted: 1 known, 2 fenced, 4 its request came before under the id ``first``,
-- 5 its key came before with another request.
--
-- Keys go in first and in their order, so that owners who are given the same ones wait for each
-- other and never in a circle. Each key that is met is locked to the end, so no retention takes it
-- away in between; one older than 24 hours starts anew. A message goes in if its key's row is its
-- own: also a second time under its own id, as after an unknown outcome.
create function append_requests(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_id bytea[], p_recipient text[], p_kind smallint[],
    p_body bytea[], p_ttl integer[], p_key bytea[], p_request bytea[])
returns table (ordinal integer, outcome smallint, first bytea) language plpgsql volatile as $$
declare
    held smallint[] := held_slots(p_incarnation, p_slots, p_epochs);
begin
    insert into request_key as k (key, id, slot, request)
    select distinct on (f.key) f.key, f.id, f.slot, f.request
      from unnest(p_slot, p_id, p_key, p_request) with ordinality as f(slot, id, key, request, n)
     where f.key is not null and f.slot = any (held)
     order by f.key, f.n
    on conflict (key) do update
       set id = excluded.id, slot = excluded.slot, request = excluded.request, created_at = now()
     where k.created_at < now() - interval '24 hours';
    insert into message (slot, seq, id, recipient, kind, body, ttl)
    select f.slot, f.seq, f.id, f.recipient, f.kind, f.body, f.ttl
      from unnest(p_slot, p_seq, p_id, p_recipient, p_kind, p_body, p_ttl, p_key)
           as f(slot, seq, id, recipient, kind, body, ttl, key)
      left join request_key k on k.key = f.key
     where f.slot = any (held) and (f.key is null or k.id = f.id)
    on conflict (id) do nothing;
    return query
        select f.n::integer - 1,
               (case when not f.slot = any (held) then 2
                     when f.key is null or k.id = f.id then 1
                     when k.request = f.request then 4
                     else 5 end)::smallint,
               k.id
          from unnest(p_slot, p_seq, p_id, p_key, p_request) with ordinality
               as f(slot, seq, id, key, request, n)
          left join request_key k on k.key = f.key
         where not exists (select 1 from message m
                            where m.slot = f.slot and m.seq = f.seq and m.id = f.id
                              and f.slot = any (held));
end $$;

-- Forget up to p_limit keys of these slots that are older than 24 hours; returns how many.
create function prune_keys(p_slots smallint[], p_limit integer) returns bigint
language plpgsql volatile as $$
declare
    deleted bigint;
begin
    delete from request_key where key in (
        select k.key from request_key k
         where k.slot = any (p_slots) and k.created_at < now() - interval '24 hours'
         order by k.created_at limit p_limit for update skip locked);
    get diagnostics deleted = row_count;
    return deleted;
end $$;

-- As before, and a parked message keeps its age and its ttl. What is parked again is found where it is
-- parked: its row in the journal may be pruned.
create or replace function record_rare(p_held smallint[], p_rare jsonb) returns void
language plpgsql volatile as $$
begin
    update parked_message m
       set attempts = p.attempts, due_at = clock_timestamp() + p.delay_ms * interval '1 ms',
           reason = p.reason
      from jsonb_to_recordset(p_rare -> 'park')
           as p(slot smallint, seq bigint, attempts integer, delay_ms bigint, reason text)
     where m.slot = p.slot and m.seq = p.seq and p.slot = any (p_held);
    insert into parked_message (slot, seq, id, recipient, kind, body, attempts, due_at, reason,
                                ttl, accepted_at)
    select m.slot, m.seq, m.id, m.recipient, m.kind, m.body,
           p.attempts, clock_timestamp() + p.delay_ms * interval '1 ms', p.reason,
           m.ttl, m.accepted_at
      from jsonb_to_recordset(p_rare -> 'park')
           as p(slot smallint, seq bigint, attempts integer, delay_ms bigint, reason text)
      join message m on m.slot = p.slot and m.seq = p.seq
     where p.slot = any (p_held)
    on conflict (slot, seq) do nothing;
    delete from parked_message m
     using jsonb_to_recordset(p_rare -> 'unpark') as p(slot smallint, seq bigint)
     where m.slot = p.slot and m.seq = p.seq and p.slot = any (p_held);
    update parked_event e
       set attempts = p.attempts, due_at = clock_timestamp() + p.delay_ms * interval '1 ms',
           reason = p.reason
      from jsonb_to_recordset(p_rare -> 'park_events')
           as p(slot smallint, kind smallint, seq bigint, attempts integer, delay_ms bigint,
                reason text)
     where e.slot = p.slot and e.kind = p.kind and e.seq = p.seq and p.slot = any (p_held);
    insert into parked_event (slot, seq, kind, key, recipient, payload, contact,
                              attempts, due_at, reason)
    select e.slot, e.seq, e.kind, e.key, e.recipient, e.payload, e.contact,
           p.attempts, clock_timestamp() + p.delay_ms * interval '1 ms', p.reason
      from jsonb_to_recordset(p_rare -> 'park_events')
           as p(slot smallint, kind smallint, seq bigint, attempts integer, delay_ms bigint,
                reason text)
      join event e on e.slot = p.slot and e.kind = p.kind and e.seq = p.seq
     where p.slot = any (p_held)
    on conflict (slot, kind, seq) do nothing;
    -- From the parked table if it was parked, else (a receiver down for days) from the journal.
    insert into dead_letter (slot, seq, kind, key, recipient, payload, contact, attempts, reason)
    select e.slot, e.seq, e.kind, e.key, e.recipient, e.payload, e.contact, p.attempts, p.reason
      from jsonb_to_recordset(p_rare -> 'dead')
           as p(slot smallint, kind smallint, seq bigint, attempts integer, reason text)
      join (select v.slot, v.kind, v.seq, v.key, v.recipient, v.payload, v.contact from parked_event v
            union all
            select v.slot, v.kind, v.seq, v.key, v.recipient, v.payload, v.contact from event v) e
        on e.slot = p.slot and e.kind = p.kind and e.seq = p.seq
     where p.slot = any (p_held)
    on conflict (slot, kind, seq) do nothing;
    delete from parked_event e
     using jsonb_to_recordset(coalesce(p_rare -> 'unpark_events', '[]') || coalesce(p_rare -> 'dead', '[]'))
           as p(slot smallint, kind smallint, seq bigint)
     where e.slot = p.slot and e.kind = p.kind and e.seq = p.seq and p.slot = any (p_held);
end $$;
