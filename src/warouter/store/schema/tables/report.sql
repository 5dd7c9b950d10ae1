-- The report that each process writes of itself every five seconds, for /metrics, /v1/stats and /v1/support; one
-- row an incarnation. Unlogged: after a crash of the server the next report writes it again, and no
-- writer waits for a disk. The body stays in the row, so that an update needs no other page.
create unlogged table report (
    incarnation uuid primary key,
    node        text not null,
    role        text not null,
    at          timestamptz not null default now(),
    body        jsonb not null,
    webhook     jsonb                                -- the last failed POSTs of a coreapp, see write_webhook
) with (fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
alter table report alter column body set storage main;
