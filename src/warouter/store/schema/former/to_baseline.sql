-- What the last of the former steps lacks to be the baseline; see warouter.store.former.
alter table schema_migration alter column runs_with set not null;
delete from schema_migration;
update node set upstream = coalesce(upstream, 'simulator'), certificate = coalesce(certificate, '');
alter table node alter column upstream set not null, alter column certificate set not null;
update parked_message set parked_at = now() where parked_at is null;
update parked_message set look_at = due_at where look_at = '-infinity';
alter table parked_message alter column look_at drop default,
    alter column parked_at set default now(), alter column parked_at set not null;
update parked_event set parked_at = now() where parked_at is null;
update parked_event set look_at = due_at where look_at = '-infinity';
alter table parked_event alter column look_at drop default,
    alter column parked_at set default now(), alter column parked_at set not null;
alter table cloud_pause drop column if exists one;
alter table audit disable trigger user;
delete from audit where hash is null;
alter table audit enable trigger user, alter column hash set not null;
alter table audit_chain drop constraint audit_chain_check, drop column if exists began_after;
alter table audit_chain add check (tail_id <= head_id);
drop function if exists switch_upstream(text, boolean);
drop function if exists lead_parked(uuid, smallint[], bigint[], integer);
drop function if exists beat_with_moves(uuid, boolean, uuid[], boolean, boolean);
drop function if exists beat(uuid, boolean);
drop function if exists beat(uuid, boolean, uuid[]);
drop function if exists beat(uuid, boolean, uuid[], boolean);
drop function if exists beat(uuid, boolean, uuid[], boolean, boolean);
drop function if exists end_leader();
drop function if exists attempt_failed(text, text, integer, float8, float8, float8);
drop function if exists name_successors(bigint, uuid, smallint[], bigint[], uuid[], uuid, integer);
drop function if exists register_node(
    uuid, text, text, text, integer, bytea, text, text, text, integer, integer);
drop function if exists register_node(
    uuid, text, text, text, integer, bytea, text, text, text, integer, integer, text);
drop function if exists of_template(smallint, bigint);
drop function if exists prune(uuid, smallint[], bigint[], interval, integer);
alter table dead_letter add column if not exists recorded_at timestamptz not null default now();
alter table parked_message add column if not exists has_ttl boolean not null default false;
update parked_message p set has_ttl = true from message m
 where m.slot = p.slot and m.seq = p.seq and m.ttl is not null and not p.has_ttl;
-- Retention took rows of events that are parked.
do $$ begin
    insert into event (slot, seq, kind, key, recipient, payload, contact)
    select slot, seq, kind, key, recipient, payload, contact from parked_event
    on conflict do nothing;
exception when undefined_column then
    null;
end $$;
alter table parked_message drop column if exists kind, drop column if exists body,
    drop column if exists ttl, drop column if exists accepted_at;
alter table parked_event drop column if exists key, drop column if exists payload,
    drop column if exists contact;
create index if not exists parked_message_ttl on parked_message (slot, recipient, seq) where has_ttl;
drop index if exists upstream_id_id;
alter table upstream_id drop constraint if exists upstream_id_pkey;
create unique index if not exists upstream_id_key on upstream_id (id, hashtextextended(wamid, 0));
create index if not exists upstream_id_wamid on upstream_id
    (date_bin('2 hours', at, timestamptz 'epoch'), hashtextextended(wamid, 0));
create index if not exists contact_identity_seen on contact_identity (seen_at) where alias is null;
drop function if exists record_progress(
    uuid, smallint[], bigint[], smallint[], bigint[], text[], smallint[], smallint[], bigint[],
    text[], jsonb);
drop function if exists append_endings(
    uuid, smallint[], bigint[], smallint[], bigint[], smallint[], text[], text[], bytea[], bytea[],
    smallint[], bigint[], text[], smallint[], smallint[], bigint[], text[], jsonb);
