-- runs with: 11
--
-- The audit log is append-only and chained by hashes. An action has one row when it begins and a
-- second one when it has ended; equal refusals and log-ins are counted in a table of their own until
-- their minute is over. The chain begins with this file: rows from before it have no hash.

alter table audit add column of bigint;             -- the first row of the action that ended with this
alter table audit add column hash bytea;            -- null: from before 0031

-- Sums of equal refusals and log-ins whose minute, or hour, is not over. Written by audit_add.
create table audit_pending (
    since   timestamptz not null,                    -- when the minute, or hour, began
    actor   text not null,
    action  text not null,
    source  text not null,
    outcome text not null,
    times   integer not null,
    first   timestamptz not null default clock_timestamp(),
    until   timestamptz not null,
    primary key (since, actor, action, source, outcome)
);

-- Both ends of the chain, in one row: the newest row of the audit log, and the anchor, which is the
-- last row that retention deleted. Only the functions of the audit log write it.
create table audit_chain (
    one          boolean primary key default true check (one),
    began_after  bigint not null,                    -- rows up to here are from before the chain
    tail_id      bigint not null,
    tail_hash    bytea not null,
    head_id      bigint not null,
    head_hash    bytea not null,
    pruned_by    xid8,                               -- the transaction that moved the anchor last
    kept_days    integer not null default 1 check (kept_days >= 1),  -- no row goes before
    check (began_after <= tail_id and tail_id <= head_id)
);
insert into audit_chain (began_after, tail_id, tail_hash, head_id, head_hash)
select n, n, sha256(''), n, sha256('') from (select coalesce(max(id), 0) as n from audit) a;

-- Returns the hash of a row of the audit log: SHA-256 of the previous row's hash and of each field,
-- as four bytes of length and the text in UTF-8, or as ff ff ff ff if it is null. The lengths keep
-- two rows from having the same bytes. store/views/chain.py computes the same.
create function audit_hash(p_previous bytea, p_fields text[])
returns bytea language plpgsql volatile
security definer set search_path from current as $$
declare
    encoded bytea;
    field text;
begin
    foreach field in array p_fields loop
        encoded := convert_to(field, 'UTF8');
        p_previous := p_previous
            || coalesce(int4send(octet_length(encoded)) || encoded, '\xffffffff'::bytea);
    end loop;
    return sha256(p_previous);
end $$;

-- Trigger function: gives a new row of the audit log its place in the chain. Whoever inserts chooses
-- neither number, time nor hash. The row of audit_chain is locked until the end of the transaction,
-- so rows are committed in the order of their numbers, and a rollback leaves no gap; a transaction
-- therefore writes its audit row last. The NOTIFY is a hint for those who follow the log.
--
-- A row with `of` is the end of an action. It takes from the action's first row who did what from
-- where, and is refused if that action has ended already, began more than a day ago, or never did.
--
-- The setting makes every plan go by the indexes, however many rows there were when it was made.
create function audit_append() returns trigger language plpgsql volatile
security definer set search_path from current set enable_seqscan = off as $$
declare
    head record;
    begun record;
begin
    select c.head_id as id, c.head_hash as hash into head from audit_chain c for no key update;
    if not found then
        raise exception 'the audit log has no chain: restore the row of audit_chain from a backup';
    end if;
    if new.of is not null then
        select a.actor, a.action, a.source into begun from audit a
         where a.id = new.of and a.of is null and a.outcome = 'begun'
           and a.at > clock_timestamp() - interval '1 day';
        if not found or exists (select from audit a where a.id > new.of and a.of = new.of) then
            raise exception 'row % of the audit log is no action that is under way', new.of
                using errcode = 'check_violation';
        end if;
        new.actor := begun.actor;
        new.action := begun.action;
        new.source := begun.source;
    end if;
    -- Readers in any language must be able to read it.
    if not new.since between '2000-01-01' and '9999-01-01' then
        raise exception 'the time % is out of range', new.since using errcode = 'check_violation';
    end if;
    new.id := head.id + 1;
    new.at := clock_timestamp();
    new.hash := audit_hash(head.hash, array[
        new.id::text, to_char(new.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        new.actor, new.action, new.subject, new.source, new.outcome, new.of::text, new.times::text,
        to_char(new.since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')]);
    update audit_chain set head_id = new.id, head_hash = new.hash;
    perform pg_notify('warouter_audit', new.id::text);
    return new;
end $$;

-- Trigger function: refuses to change or delete a row of the audit log, whoever asks. What
-- prune_audit deletes goes: rows that the anchor has passed in this transaction, older than a day.
-- No setting opens this, only the table audit_chain, which no process may write.
--
-- Builds from before 0031 update the row of an action that ends, and delete by themselves. For
-- processes (`wa:...`) the former becomes the row of an end, and the latter does nothing; whoever
-- takes that name for a session gets no more than that.
create function audit_keep() returns trigger language plpgsql volatile
security definer set search_path from current as $$
declare
    process boolean := current_setting('application_name') like 'wa:%';
    about text;
    ended text;
begin
    if tg_op = 'UPDATE' then
        about := new.subject;
        ended := new.outcome;
        new.subject := old.subject;
        new.outcome := old.outcome;
        if process and new is not distinct from old then
            insert into audit (actor, action, subject, source, outcome, of)
            values (old.actor, old.action, about, old.source, ended, old.id);
            return null;
        end if;
    elsif tg_op = 'DELETE' then
        if old.at < clock_timestamp() - interval '1 day' and exists (
            select from audit_chain c
             where c.tail_id >= old.id and c.pruned_by = pg_current_xact_id())
        then
            return old;
        end if;
        if process then
            return null;
        end if;
    end if;
    raise exception 'the audit log is append-only: % refused', lower(tg_op)
        using errcode = 'insufficient_privilege',
              hint = 'prune_audit deletes what WAROUTER_AUDIT_RETENTION no longer keeps.';
end $$;

-- Moves the sums whose minute, or hour, is over into the audit log, each as one row. The caller has
-- the advisory lock of audit_add.
create function audit_move_sums() returns void language sql volatile
security definer set search_path from current as $$
    with ended as (delete from audit_pending where until <= clock_timestamp() returning *)
    insert into audit (actor, action, source, outcome, times, since)
    select actor, action, source, outcome, times, first from ended
     order by first, actor, action, source, outcome
$$;

-- Adds p_times equal entries to the audit log as one row a minute. While the minute lasts they are
-- counted in audit_pending; then the sum becomes a row of the audit log that nobody changes. The
-- kinds of refusals that get rows of their own are limited to p_minute a minute and p_day a day,
-- since whoever guesses may write any name and come from anywhere. Refusals beyond that are summed
-- by the hour under the source '*', and under the actor '*' unless the actor is a user.
--
-- An advisory lock lets one webapp write at a time. It is taken before the row of audit_chain,
-- as in prune_audit.
create or replace function audit_add(p_actor text, p_action text, p_source text, p_outcome text,
                          p_times integer, p_minute integer, p_day integer)
returns void language plpgsql volatile
security definer set search_path from current set enable_seqscan = off as $$
declare
    bucket timestamptz;
    width interval := interval '1 minute';
begin
    perform pg_advisory_xact_lock(7706, 0);
    perform audit_move_sums();
    bucket := date_trunc('minute', clock_timestamp());
    if p_outcome <> 'done' and not exists (
        select from audit_pending where since = bucket and actor = p_actor and action = p_action
           and source = p_source and outcome = p_outcome)
    and (
        (select count(*) from audit_pending where since = bucket and outcome <> 'done') >= p_minute
        or (select count(*) from audit
             where since > now() - interval '1 day' and outcome <> 'done')
         + (select count(*) from audit_pending where outcome <> 'done') >= p_day)
    then
        bucket := date_trunc('hour', bucket);
        width := interval '1 hour';
        p_source := '*';
        if not exists (select from user_account where username = p_actor) then
            p_actor := '*';
        end if;
    end if;
    insert into audit_pending as a (since, actor, action, source, outcome, times, until)
    values (bucket, p_actor, p_action, p_source, p_outcome, p_times, bucket + width)
    on conflict (since, actor, action, source, outcome) do update set times = a.times + p_times;
end $$;

-- Deletes rows of the audit log that are older than p_days, and than kept_days: at most 1,000, from the
-- old end only, and nothing behind the first that is younger. Returns how many. The number and hash
-- of the last that went stay in audit_chain, as what the rest of the chain is anchored to. Sums that
-- are over become rows first.
--
-- Webapps call it with each action. One that was taken over may ask for any p_days: what audit_chain
-- says is the least, a day unless `warouter migrate --roles` has set it.
create function prune_audit(p_days integer) returns integer language plpgsql volatile
security definer set search_path from current set enable_seqscan = off as $$
declare
    cutoff timestamptz;
    last bigint;
    gone integer;
begin
    if pg_try_advisory_xact_lock(7706, 0) then
        perform audit_move_sums();
    end if;
    select clock_timestamp() - make_interval(days => greatest(p_days, c.kept_days)) into cutoff
      from audit_chain c;
    if not exists (select from (select a.at from audit a order by a.id limit 1) oldest
                    where oldest.at < cutoff)
    then
        return 0;
    end if;
    perform from audit_chain for no key update;
    select max(a.id) into last
      from (select f.id, bool_and(f.at < cutoff) over (order by f.id) as old
              from (select x.id, x.at from audit x order by x.id limit 1000) f) a
     where a.old;
    -- A row without a hash is from before the chain, or was put in past the trigger.
    update audit_chain c
       set tail_id = greatest(c.tail_id, last), pruned_by = pg_current_xact_id(),
           tail_hash = case when last > c.tail_id then coalesce(a.hash, c.tail_hash)
                            else c.tail_hash end
      from audit a
     where a.id = last;
    delete from audit where id <= last;
    get diagnostics gone = row_count;
    return gone;
end $$;

create trigger audit_append before insert on audit
    for each row execute function audit_append();
create trigger audit_keep before update or delete on audit
    for each row execute function audit_keep();
create trigger audit_keep_all before truncate on audit
    for each statement execute function audit_keep();

-- What 0030 does for the functions before: nobody executes what they were not told to. A login that
-- was let into the log by hand may do what it needs.
revoke execute on function audit_hash(bytea, text[]), audit_append(), audit_keep(),
                           audit_move_sums(), prune_audit(integer) from public;
do $$
declare
    guest record;
begin
    for guest in select distinct g.grantee::regrole as name
                   from pg_class c, aclexplode(c.relacl) g
                  where c.oid = 'audit'::regclass and g.grantee not in (0, c.relowner)
                    and g.privilege_type = 'INSERT'
    loop
        execute format('grant execute on function prune_audit(integer) to %s', guest.name);
    end loop;
end $$;
