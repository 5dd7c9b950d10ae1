-- runs with: 11
--
-- The console, where people look at a cluster and act on it: its sessions, and what it does in the name
-- of who is logged in. Its login may read what it shows, and no text of a message past reveal_message.

alter table database_role drop constraint database_role_kind_check;
alter table database_role add constraint database_role_kind_check
    check (kind in ('owner', 'webapp', 'coreapp', 'master', 'console', 'reader', 'web_console'));

-- Who is logged in at the console. A session is no token: each is looked for in its own table only.
-- Written by console_begin, console_visitor and console_end.
create table console_session (
    hash       bytea primary key check (octet_length(hash) = 32),
                                                     -- SHA-256 of the id, which is not stored
    username   text not null references user_account on delete cascade,
    source     text not null,                        -- the address that logged in
    created_at timestamptz not null default clock_timestamp(),
    seen_at    timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null                  -- 30 minutes unseen, or 12 hours in all
);
create index console_session_username on console_session (username);

-- Trigger function: ends all sessions of a user at the console when password, role or the duty to
-- change the password is another one, whoever has changed it: a webapp of an older build, or the
-- operator's command. With the user they go by their foreign key.
--
-- Called by: the trigger console_user_changed of tables/access.sql
create function console_user_changed() returns trigger language plpgsql volatile
security definer set search_path from current as $$
begin
    delete from console_session s where s.username = new.username;
    return null;
end $$;

-- Begins a session of the console under the hash of its id. False if the user is gone, has another
-- password than the one that was checked, or must change it first. A user has at most 20: the oldest
-- go. Those of anybody that have ended go as well.
--
-- The row of change is locked first, as by everybody who changes users, so that a password that
-- changes meanwhile ends this session or prevents it.
--
-- Called by: store/account/sessions.py
create function console_begin(
    p_username text, p_password_hash text, p_session bytea, p_source text)
returns boolean language plpgsql volatile
security definer set search_path from current as $$
begin
    perform from change c where c.what = 'auth' for no key update;
    perform from user_account u
      where u.username = p_username and u.password_hash = p_password_hash and not u.must_change
        for no key update;
    if not found then
        return false;
    end if;
    delete from console_session s
     where s.expires_at <= clock_timestamp()
        or s.hash in (select o.hash from console_session o where o.username = p_username
                       order by o.created_at desc offset 19);
    insert into console_session (hash, username, source, expires_at)
    values (p_session, p_username, p_source, clock_timestamp() + interval '30 minutes');
    return true;
end $$;

-- The user of a session of the console; no row if it has ended. With p_seen the session goes on for
-- another 30 minutes, 12 hours after its begin at most; that is written once a minute.
--
-- Called by: store/account/sessions.py, console_token, reveal_message
create function console_visitor(p_session bytea, p_seen boolean)
returns table (username text, role text) language plpgsql volatile
security definer set search_path from current as $$
begin
    if p_seen then
        update console_session s
           set seen_at = clock_timestamp(),
               expires_at = least(clock_timestamp() + interval '30 minutes',
                                  s.created_at + interval '12 hours')
         where s.hash = p_session and s.expires_at > clock_timestamp()
           and s.seen_at < clock_timestamp() - interval '1 minute';
    end if;
    return query
        select u.username, u.role
          from console_session s join user_account u on u.username = s.username
         where s.hash = p_session and s.expires_at > clock_timestamp() and not u.must_change;
end $$;

-- Ends a session of the console; returns whose it was, null if it had ended.
--
-- Called by: store/account/sessions.py
create function console_end(p_session bytea) returns text language sql volatile
security definer set search_path from current as $$
    delete from console_session s where s.hash = p_session returning s.username
$$;

-- Ends all sessions of a user at the console; returns how many.
--
-- Called by: store/account/sessions.py
create function console_end_all(p_username text) returns integer language plpgsql volatile
security definer set search_path from current as $$
declare
    ended integer;
begin
    delete from console_session s where s.username = p_username;
    get diagnostics ended = row_count;
    return ended;
end $$;

-- Adds a token of the API, known by its hash, for the user of a live session of the console; false
-- without such a session. It ends after a minute, should nobody forget it before. So the console acts
-- through the API with the rights of who is logged in, and its login writes no token itself.
--
-- Called by: store/account/sessions.py
create function console_token(p_session bytea, p_token bytea) returns boolean
language plpgsql volatile
security definer set search_path from current as $$
begin
    -- A password that changes meanwhile ends this token, or its session before.
    perform from change c where c.what = 'auth' for no key update;
    insert into token (hash, username, expires_at, created_at)
    select p_token, v.username, clock_timestamp() + interval '1 minute', clock_timestamp()
      from console_visitor(p_session, false) v;
    return found;
end $$;

-- Removes a token of the API that console_token has added, and what has ended of the same user's.
--
-- Called by: store/account/sessions.py
create function console_forget(p_token bytea) returns void language plpgsql volatile
security definer set search_path from current as $$
begin
    -- First, since a trigger locks it after the token: as everybody who removes tokens does.
    perform from change c where c.what = 'auth' for no key update;
    delete from token t
     using token o
     where o.hash = p_token and o.username = t.username
       and (t.hash = p_token or t.expires_at <= clock_timestamp());
end $$;

-- The text of a message, for an administrator who is logged in at the console: the body of an outgoing
-- one, found by its id, or the payload of an inbound one, found by the upstream's id (p_key). The audit
-- log has a row of it in the same transaction: who asked, for which message, from where. Null if there
-- is no such message; refused without a live session of an administrator.
--
-- Called by: store/account/sessions.py
create function reveal_message(p_session bytea, p_id bytea, p_key text, p_source text)
returns bytea language plpgsql volatile
security definer set search_path from current as $$
declare
    who text;
    found_text bytea;
begin
    select v.username into who from console_visitor(p_session, false) v where v.role = 'ROLE_ADMIN';
    if not found then
        raise exception 'no administrator is logged in with this session'
            using errcode = 'insufficient_privilege';
    end if;
    if p_id is not null then
        select m.body into found_text from message m where m.id = p_id;
        if not found then
            select m.body into found_text from parked_message m where m.id = p_id;
        end if;
    end if;
    if found_text is null then
        select e.payload into found_text from event e where e.key = p_key and e.kind = 1;
        if not found then
            select d.payload into found_text from dead_letter d where d.key = p_key and d.kind = 1;
        end if;
    end if;
    insert into audit (actor, action, subject, source, outcome)
    values (who, 'read message text', p_key, p_source,
            case when found_text is null then 'not found' else 'done' end);
    return found_text;
end $$;

create trigger console_user_changed after update on user_account
    for each row
    when (old.password_hash is distinct from new.password_hash or old.role is distinct from new.role
          or old.must_change is distinct from new.must_change)
    execute function console_user_changed();

-- What 0030 does for the functions before: nobody executes what they were not told to.
revoke execute on function
    console_user_changed(), console_begin(text, text, bytea, text), console_visitor(bytea, boolean),
    console_end(bytea), console_end_all(text), console_token(bytea, bytea), console_forget(bytea),
    reveal_message(bytea, bytea, text, text) from public;
