"""How each table is filled: all in slot 3, which is worse than spread over 32."""

from __future__ import annotations

SLOT, EPOCH = 3, 10
ID = "set_byte(set_byte(decode(lpad(to_hex(n), 40, '0'), 'hex'), 0, 1), 1, 3)"
RECIPIENT = "(491500000000 + n)::text"
# One recipient in twenty has many rows, all the same one.
CROWDED = "case when n % 20 = 0 then '491400000000' else (491500000000 + n)::text end"
# Of the first row of each recipient.
LOOK = "case when n % 20 <> 0 or n = 20 then t end"
DUE = "t, t - interval '1 hour'"

# What is parked points to rows of a journal.
JOURNALS = {"parked_message": "message", "parked_event": "event", "send_issue": "message"}
# Table -> what fills it with $1 rows, and its journal.
FILLS = {
    "message": f"""
insert into message (slot, seq, id, recipient, body, accepted_at)
select 3, n, {ID}, {RECIPIENT}, '{{"type":"text"}}', now() - interval '40 days'
  from generate_series(1, $1::bigint) n""",
    "parked_message": f"""
with journal as (
    insert into message (slot, seq, id, recipient, body, ttl, accepted_at)
    select 3, n, {ID}, {CROWDED}, '{{"type":"text"}}', case when n % 3 = 0 then 86400 end,
           now() - interval '40 days'
      from generate_series(1, $1::bigint) n)
insert into parked_message (slot, seq, id, recipient, has_ttl, attempts, reason, due_at, parked_at,
                            look_at)
select 3, n, {ID}, {CROWDED}, n % 3 = 0, 1, 'pair rate', {DUE}, {LOOK}
  from generate_series(1, $1::bigint) n, lateral (select now() + n * interval '1 ms' as t) d""",
    # A window of them issued, one of four held, the rest in doubt; half of them are due.
    "send_issue": f"""
with journal as (
    insert into message (slot, seq, id, recipient, body, accepted_at)
    select 3, n, {ID}, {RECIPIENT}, '{{"type":"text"}}', now() - interval '1 hour'
      from generate_series(1, $1::bigint) n)
insert into send_issue (slot, seq, id, recipient, attempt, doubts, state, at, cause, look_at)
select 3, n, {ID}, {RECIPIENT}, 1, 1, s, now() - interval '1 hour', 'timeout',
       case when s <> 1 then now() + (n - $1 / 2) * interval '1 ms' end
  from generate_series(1, $1::bigint) n,
       lateral (select case when n <= 64 then 1 when n % 4 = 0 then 3 else 2 end as s) d""",
    "event": f"""
insert into event (slot, seq, kind, key, recipient, payload, recorded_at)
select 3, n, 0, n || ':delivered:1700000000', {RECIPIENT}, '{{}}', now() - interval '40 days'
  from generate_series(1, $1::bigint) n""",
    "parked_event": f"""
with journal as (
    insert into event (slot, seq, kind, key, recipient, payload, recorded_at)
    select 3, n, 0, n || ':read:1', {CROWDED}, '{{}}', now() - interval '40 days'
      from generate_series(1, $1::bigint) n)
insert into parked_event (slot, seq, kind, recipient, attempts, reason, due_at, parked_at, look_at)
select 3, n, 0, {CROWDED}, 1, 'status 500', {DUE}, {LOOK}
  from generate_series(1, $1::bigint) n, lateral (select now() + n * interval '1 ms' as t) d""",
    "dead_letter": f"""
insert into dead_letter (slot, seq, kind, key, recipient, payload, attempts, reason, died_at)
select 3, n, 0, n::text, {RECIPIENT}, '{{}}', 9, 'status 500', now() - n * interval '1 s'
  from generate_series(1, $1::bigint) n""",
    "request_key": f"""
insert into request_key (key, id, slot, request, created_at)
select sha256(n::text::bytea), {ID}, 3, '', now() - interval '25 hours'
  from generate_series(1, $1::bigint) n""",
    "owner_log": """
insert into owner_log (slot, epoch, reason, at)
select n % 32, n, case n % 3 when 0 then 'dead' when 1 then 'unreachable' else 'handover' end,
       now() - ($1 - n) * interval '2 s'
  from generate_series(1, $1::bigint) n""",
    "shard_request": """
insert into shard_request (id, shards, state, requested_at, ended_at)
select gen_random_uuid(), 2, 'done', t, t
  from generate_series(1, $1::bigint) n, lateral (select now() - n * interval '5 s' as t) d""",
    # But for the first 600 nothing of it is to go: that is so at almost every look.
    "contact": f"""
insert into contact (wa_id, valid, checked_at)
select {RECIPIENT}, n % 10 > 0 or age < interval '360 days' and age > interval '6 days', now() - age
  from generate_series(1, $1::bigint) n,
       lateral (select case when n <= 600 then interval '400 days'
                            else n::float8 / $1 * interval '30000000 s' end as age) a""",
    "audit": """
with made as (
    insert into audit (actor, action, source, outcome, at, hash)
    select 'admin', 'log in', '203.0.113.9', 'ok', now() - n * interval '20 s', sha256('')
      from generate_series($1::bigint, 1, -1) n
    returning id)
update audit_chain
   set head_id = (select max(id) from made)
""",
    # A thousand of each number, as the API lets one have; nobody has used one in ten.
    "api_key": """
insert into api_key (hash, name, starts, scopes, created_by, used_at, number)
select sha256(n::text::bytea), 'bench', 'wrk_' || n % 1000, 1, 'bench',
       case when n % 10 > 0 then now() - n * interval '1 s' end, 1 + n / 1000
  from generate_series(0, $1::bigint - 1) n""",
    # A month of messages; in each ten, one wamid is of two numbers.
    "upstream_id": f"""
insert into upstream_id (wamid, slot, id, attempt, wa_id, at, number)
select 'wamid.' || n - n % 10 / 9, 3, {ID}, 1, {RECIPIENT}, now() - ($1 - n) * interval '1.3 s',
       1 + n % 10 / 9
  from generate_series(1, $1::bigint) n""",
    # What a webapp took while all coreapps were down.
    "cloud_inbox": f"""
insert into cloud_inbox (slot, kind, key, recipient, payload, number)
select 3, 1, 'wamid.' || n - n % 10 / 9, {RECIPIENT}, '{{}}', 1 + n % 10 / 9
  from generate_series(1, $1::bigint) n""",
    "cloud_unmatched": f"""
insert into cloud_unmatched (wamid, key, recipient, payload, at, number)
select 'wamid.' || n, 'wamid.' || n || ':sent', {RECIPIENT}, '{{}}',
       now() - ($1 - n) * interval '0.4 s', 1 + n % 2
  from generate_series(1, $1::bigint) n""",
    "attempt": """
insert into attempt (what, name, failures, since)
select 'known', 'u' || n, 0, now() - n * interval '5 s' from generate_series(1, $1::bigint) n""",
}
