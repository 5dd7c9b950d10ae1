-- runs with: 11
-- outside a transaction

create index concurrently if not exists contact_identity_successor
    on contact_identity (successor) where successor is not null;
