-- runs with: 39
-- outside a transaction
--
-- What was taken twice is charged twice: operators list it, and it is one row of very many.
create index concurrently if not exists upstream_id_twice on upstream_id (at) where twice is not null;
