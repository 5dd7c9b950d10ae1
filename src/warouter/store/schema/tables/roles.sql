-- Which login is used by which kind of process, as `warouter migrate --roles` has made them, and who
-- owns the schema. Empty where one login does everything.
create table database_role (
    kind text primary key
         check (kind in ('owner', 'webapp', 'coreapp', 'master', 'console', 'reader', 'web_console')),
    name name not null unique
);
