-- runs with: 11
--
-- When a token was used last, so that a user's 51st log-in ends the one that nobody uses. Webapps note
-- it every few seconds: that is no change that others must hear of.

alter table token add column used_at timestamptz not null default now();
create or replace trigger token_changed after update of username, expires_at or delete on token
    for each statement execute function bump('auth');
