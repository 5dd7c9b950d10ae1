-- runs with: 3
--
-- Registration under way, attempts at passwords and pins, and the audit log.

-- The number that a code was asked for. Whichever webapp hears the code finds it here.
create table registration (
    one          boolean primary key default true check (one),
    cc           text not null,
    phone_number text not null,
    cert         text not null,
    pin_hash     text,
    asked_at     timestamptz not null default now()
);

-- Attempts, shared by all webapps. what: 'user' and 'pin' count failures of a name, 'address'
-- checks under way and failed from an address, 'known' says where a user has logged in from.
create table attempt (
    what     text not null check (what in ('user', 'pin', 'address', 'known')),
    name     text not null,
    failures integer not null,
    since    timestamptz not null default now(),     -- the first of this minute
    until    timestamptz,                            -- no check before; null: none is refused
    primary key (what, name)
);
create index attempt_since on attempt (since);

-- One more failure of a name. Within p_window seconds p_free of them cost nothing; that one and each
-- further one must wait p_first seconds, doubled each time, at most p_longest. A name that has waited
-- starts anew after p_longest seconds without a failure.
create function attempt_failed(p_what text, p_name text, p_free integer, p_window float8,
                               p_first float8, p_longest float8)
returns void language plpgsql volatile as $$
declare
    a attempt;
    calm boolean;
begin
    insert into attempt (what, name, failures) values (p_what, p_name, 0)
        on conflict (what, name) do nothing;
    select * into a from attempt where what = p_what and name = p_name for update;
    if a.failures < p_free then
        calm := a.since <= now() - p_window * interval '1 s';
    else
        calm := a.until <= now() - p_longest * interval '1 s';
    end if;
    if calm then
        a.failures := 0;
        a.since := now();
    end if;
    a.failures := a.failures + 1;
    update attempt
       set failures = a.failures, since = a.since,
           until = case when a.failures >= p_free
               then now() + interval '1 s'
                    * least(p_longest, p_first * power(2, least(a.failures - p_free, 20))) end
     where what = p_what and name = p_name;
end $$;

-- Who did what that matters, from where, and how it ended; 'begun' for ever if a process died in it.
create table audit (
    id       bigint generated always as identity primary key,
    at       timestamptz not null default clock_timestamp(),
    actor    text not null,
    action   text not null,
    subject  text not null default '',
    source   text not null,
    outcome  text not null
);
create index audit_at on audit (at);
