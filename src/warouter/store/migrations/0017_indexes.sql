-- runs with: 11
-- outside a transaction
--
-- What is parked is found by its time, equal deeds of the audit log by their minute, and what
-- retention takes by its age. Statements before this file only need these for speed; while they are
-- built, owners go on writing.

create index concurrently if not exists audit_sum on audit (since, actor) where since is not null;
create index concurrently if not exists audit_refused
    on audit (since) where since is not null and outcome <> 'done';
create index concurrently if not exists parked_message_look
    on parked_message (slot, look_at) where look_at is not null;
create index concurrently if not exists parked_message_ahead
    on parked_message (slot, parked_at) where look_at is not null;
create index concurrently if not exists parked_message_ttl
    on parked_message (slot, recipient, seq) where ttl is not null;
create index concurrently if not exists parked_event_look
    on parked_event (slot, kind, look_at) where look_at is not null;
create index concurrently if not exists parked_event_ahead
    on parked_event (slot, parked_at) where look_at is not null;
create index concurrently if not exists dead_letter_asked_order
    on dead_letter (slot, kind, seq) where asked_at is not null;
create index concurrently if not exists owner_log_slot on owner_log (slot, id);
create index concurrently if not exists shard_request_ended on shard_request (ended_at);
create index concurrently if not exists contact_valid on contact (checked_at) where valid;
create index concurrently if not exists contact_invalid on contact (checked_at) where not valid;
