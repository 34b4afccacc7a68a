-- The log of changes that the realtime part reads (wire contract §4.7, §4.8), and the triggers that
-- write it. The instance works on these tables as `aerodb_realtime`, a login of its own that no request
-- can become; the trigger function runs as it too, so that what a row's types do when they become
-- JSON is not done as the owner of the database.
do $$
begin
    if not exists (select from pg_roles where rolname = 'aerodb_realtime') then
        create role aerodb_realtime noinherit login;
    end if;
end
$$;

-- A reader of pages: what it waits for is its own.
alter role aerodb_realtime set statement_timeout = '30s';
alter role aerodb_realtime set idle_in_transaction_session_timeout = '30s';

-- Not logged by PostgreSQL: half the price for every write. A crash empties all of them together, the
-- epoch with the rest, so that nobody takes what is left for the whole (wire contract §4.8).
create unlogged table if not exists aerodb_internal.realtime_state (
    only_row boolean primary key default true check (only_row),
    epoch uuid not null default gen_random_uuid(),
    last_seq bigint not null default 0, -- given to a change so far
    pruned_seq bigint not null default 0 -- nothing up to here is left
) with (fillfactor = 50);

create unlogged table if not exists aerodb_internal.realtime_changes (
    xid xid8 not null,
    id bigint generated always as identity,
    relation oid not null,
    kind text not null, -- INSERT, UPDATE, DELETE, TRUNCATE, LOST, WATCH
    new_row text,
    old_row text,
    primary key (xid, id)
);
alter table aerodb_internal.realtime_changes alter column new_row set storage external;
alter table aerodb_internal.realtime_changes alter column old_row set storage external;

-- One row per committed transaction. Its changes have the numbers first_seq to last_seq in the order
-- of their ids. Numbers are given after the commit, by one session at a time (`realtime_number`): a
-- transaction that is not committed has none, and so none can come in below a number that was read.
create unlogged table if not exists aerodb_internal.realtime_commits (
    last_seq bigint primary key,
    first_seq bigint not null,
    xid xid8 not null unique,
    committed_at timestamptz not null
);

-- What is logged at all: tables, or all tables of a schema, that somebody subscribed to in the last
-- minutes. `since_seq`: everything after it is in the log.
create unlogged table if not exists aerodb_internal.realtime_watched (
    target oid not null,
    is_schema boolean not null,
    expires_at timestamptz not null,
    since_seq bigint, -- null: transactions that saw no watch may still run
    primary key (target, is_schema)
);

create unlogged table if not exists aerodb_internal.realtime_instances (
    id uuid primary key,
    read_seq bigint not null,
    expires_at timestamptz not null
);

-- Messages between instances that are too long for NOTIFY.
create unlogged table if not exists aerodb_internal.realtime_mail (
    id bigint generated always as identity primary key,
    message text not null,
    made_at timestamptz not null default now()
);

do $$
declare
    relation regclass;
begin
    foreach relation in array array[
        'aerodb_internal.realtime_mail', 'aerodb_internal.realtime_state',
        'aerodb_internal.realtime_changes',
        'aerodb_internal.realtime_commits', 'aerodb_internal.realtime_watched',
        'aerodb_internal.realtime_instances'
    ]::regclass[] loop
        execute format('revoke all on %s from public', relation);
        execute format('grant select, insert, update, delete on %s to aerodb_realtime', relation);
    end loop;
end
$$;

grant usage on schema aerodb_internal to aerodb_realtime;

-- The trigger of every exposed table, once per statement: the rows come as transition tables. It never
-- fails the statement. What could not be logged leaves a mark that becomes a gap notice.
create or replace function aerodb_internal.log_changes() returns trigger
    language plpgsql security definer
    set search_path = ''
as $$
-- A table may have columns of any name: a bare name is a variable, `alias.*` is a row.
#variable_conflict use_variable
declare
    target oid;
begin
    -- A partition's rows are rows of the table that the partition belongs to. A transaction with one
    -- snapshot for all its statements cannot see that a watch has begun since: it logs whenever an
    -- instance is there at all.
    select c.oid into target
    from pg_catalog.pg_class c
    where c.oid = coalesce(pg_catalog.pg_partition_root(tg_relid), tg_relid)
        and (
            exists (
                select from aerodb_internal.realtime_watched w
                where w.target = c.oid and not w.is_schema
                    and w.expires_at > pg_catalog.clock_timestamp()
            )
            or exists (
                select from aerodb_internal.realtime_watched w
                where w.target = c.relnamespace and w.is_schema
                    and w.expires_at > pg_catalog.clock_timestamp()
            )
            or pg_catalog.current_setting('transaction_isolation')
                in ('repeatable read', 'serializable')
            and exists (
                select from aerodb_internal.realtime_instances i
                where i.expires_at > pg_catalog.clock_timestamp()
            )
        );
    if target is null then
        return null;
    end if;
    begin
        if tg_op = 'INSERT' then
            insert into aerodb_internal.realtime_changes (xid, relation, kind, new_row)
            select pg_catalog.pg_current_xact_id(), target, tg_op, pg_catalog.row_to_json(n.*)::text
            from new_rows n;
        elsif tg_op = 'UPDATE' then
            -- Both transition tables are in the order of the updates.
            insert into aerodb_internal.realtime_changes (xid, relation, kind, new_row, old_row)
            select pg_catalog.pg_current_xact_id(), target, tg_op,
                n.told, o.told
            from (
                select pg_catalog.row_to_json(one.*)::text as told,
                    pg_catalog.row_number() over () as nth
                from new_rows one
            ) n
            join (
                select pg_catalog.row_to_json(one.*)::text as told,
                    pg_catalog.row_number() over () as nth
                from old_rows one
            ) o using (nth)
            order by n.nth;
        elsif tg_op = 'DELETE' then
            insert into aerodb_internal.realtime_changes (xid, relation, kind, old_row)
            select pg_catalog.pg_current_xact_id(), target, tg_op, pg_catalog.row_to_json(o.*)::text
            from old_rows o;
        else
            -- Once for all partitions: each of them says so.
            insert into aerodb_internal.realtime_changes (xid, relation, kind)
            select pg_catalog.pg_current_xact_id(), target, tg_op
            where tg_op is distinct from (
                select c.kind from aerodb_internal.realtime_changes c
                where c.xid = pg_catalog.pg_current_xact_id() and c.relation = target
                order by c.id desc limit 1
            );
        end if;
        if found then
            perform pg_catalog.pg_notify(
                'aerodb_realtime_commits', pg_catalog.pg_current_xact_id()::text
            );
        end if;
    exception when others then
        begin
            insert into aerodb_internal.realtime_changes (xid, relation, kind)
            values (pg_catalog.pg_current_xact_id(), target, 'LOST');
            perform pg_catalog.pg_notify(
                'aerodb_realtime_commits', pg_catalog.pg_current_xact_id()::text
            );
        exception when others then
            null;
        end;
    end;
    return null;
end
$$;

revoke all on function aerodb_internal.log_changes() from public;

-- Numbers the changes of transactions that have committed, in the order that is given. NOTIFY delivers
-- in the order of commits, so that is theirs. The lock lasts until the numbers can be seen by everybody:
-- whoever sees a number sees all that are smaller.
create or replace function aerodb_internal.realtime_number(committed xid8[]) returns void
    language plpgsql
    set search_path = ''
as $$
declare
    one xid8;
    changes bigint;
    newest bigint;
begin
    perform pg_catalog.pg_advisory_xact_lock(7097329641003);
    foreach one in array committed loop
        continue when exists (
            select from aerodb_internal.realtime_commits c where c.xid = one
        );
        select count(*) into changes from aerodb_internal.realtime_changes c where c.xid = one;
        continue when changes = 0;
        update aerodb_internal.realtime_state set last_seq = last_seq + changes
            returning last_seq into newest;
        insert into aerodb_internal.realtime_commits (last_seq, first_seq, xid, committed_at)
            values (newest, newest - changes + 1, one, pg_catalog.clock_timestamp());
    end loop;
end
$$;

revoke all on function aerodb_internal.realtime_number(xid8[]) from public;
grant execute on function aerodb_internal.realtime_number(xid8[]) to aerodb_realtime;

-- Notes that whoever did not notice a watch is gone. That takes a number of its own: whoever has read
-- it has missed nothing since, whoever has not may have.
create or replace function aerodb_internal.realtime_watched_from(
    watched_target oid, watched_schema boolean
) returns bigint
    language plpgsql
    set search_path = ''
as $$
declare
    since bigint;
begin
    perform pg_catalog.pg_advisory_xact_lock(7097329641003);
    select w.since_seq into since from aerodb_internal.realtime_watched w
        where w.target = watched_target and w.is_schema = watched_schema;
    if not found or since is not null then
        return since;
    end if;
    update aerodb_internal.realtime_state set last_seq = last_seq + 1 returning last_seq into since;
    insert into aerodb_internal.realtime_changes (xid, relation, kind)
        values (pg_catalog.pg_current_xact_id(), watched_target, 'WATCH');
    insert into aerodb_internal.realtime_commits (last_seq, first_seq, xid, committed_at)
        values (since, since, pg_catalog.pg_current_xact_id(), pg_catalog.clock_timestamp());
    update aerodb_internal.realtime_watched w set since_seq = since
        where w.target = watched_target and w.is_schema = watched_schema;
    return since;
end
$$;

revoke all on function aerodb_internal.realtime_watched_from(oid, boolean) from public;
grant execute on function aerodb_internal.realtime_watched_from(oid, boolean) to aerodb_realtime;

-- Throws away what is neither among the last changes nor young, and has been read by every instance.
create or replace function aerodb_internal.realtime_prune(kept_changes bigint, kept_for interval)
    returns void
    language plpgsql
    set search_path = ''
as $$
declare
    newest bigint;
    bound bigint;
begin
    if not pg_catalog.pg_try_advisory_xact_lock(7097329641004) then
        return;
    end if;
    select s.last_seq into newest from aerodb_internal.realtime_state s;
    select max(c.last_seq) into bound from aerodb_internal.realtime_commits c
        where c.last_seq <= newest - kept_changes
            or c.committed_at < pg_catalog.clock_timestamp() - kept_for;
    if bound is null then
        return;
    end if;
    -- `least` passes over null: without instances nobody has anything to read.
    bound := least(bound, (
        select min(i.read_seq) from aerodb_internal.realtime_instances i
        where i.expires_at > pg_catalog.clock_timestamp()
    ));
    with gone as (
        delete from aerodb_internal.realtime_commits c where c.last_seq <= bound returning c.*
    ), rows_gone as (
        delete from aerodb_internal.realtime_changes change using gone
        where change.xid = gone.xid
    )
    update aerodb_internal.realtime_state s
    set pruned_seq = greatest(s.pruned_seq, gone_up_to.seq)
    from (select max(gone.last_seq) as seq from gone) gone_up_to
    where gone_up_to.seq is not null;
    delete from aerodb_internal.realtime_watched w
        where w.expires_at < pg_catalog.clock_timestamp() - interval '1 hour';
    delete from aerodb_internal.realtime_instances i
        where i.expires_at < pg_catalog.clock_timestamp() - interval '1 minute';
    delete from aerodb_internal.realtime_mail m
        where m.made_at < pg_catalog.clock_timestamp() - interval '1 minute';
end
$$;

revoke all on function aerodb_internal.realtime_prune(bigint, interval) from public;
grant execute on function aerodb_internal.realtime_prune(bigint, interval) to aerodb_realtime;

-- Puts the triggers on a table, as its owner could; tells whether that was still to be done.
create or replace function aerodb_internal.realtime_attach(relation oid) returns boolean
    language plpgsql security definer
    set search_path = ''
as $$
declare
    event text;
    rows_of text;
begin
    if exists (
        select from pg_catalog.pg_trigger t
        where t.tgrelid = relation and t.tgname = 'aerodb_realtime_truncate'
    ) or not exists (
        select from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        join aerodb_internal.exposed_schemas e on e.name = n.nspname
        where c.oid = relation and c.relkind in ('r', 'p') and c.relpersistence <> 't'
            and n.nspname not in ('auth', 'aerodb_internal', 'realtime')
    ) then
        return false;
    end if;
    foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
        rows_of := case event
            when 'insert' then 'referencing new table as new_rows'
            when 'update' then 'referencing new table as new_rows old table as old_rows'
            when 'delete' then 'referencing old table as old_rows'
            else ''
        end;
        execute format(
            'create trigger %I after %s on %s %s for each statement '
            'execute function aerodb_internal.log_changes()',
            'aerodb_realtime_' || event, event, relation::regclass, rows_of
        );
    end loop;
    return true;
end
$$;

revoke all on function aerodb_internal.realtime_attach(oid) from public;
grant execute on function aerodb_internal.realtime_attach(oid) to aerodb_realtime;

-- The function runs as `aerodb_realtime` where the role that installs it may say so.
do $$
begin
    grant create on schema aerodb_internal to aerodb_realtime;
    alter function aerodb_internal.log_changes() owner to aerodb_realtime;
    revoke create on schema aerodb_internal from aerodb_realtime;
exception when insufficient_privilege then
    null;
end
$$;

create or replace function aerodb_internal.on_table_made() returns event_trigger
    language plpgsql security definer
    set search_path = ''
as $$
declare
    made record;
begin
    for made in
        select distinct c.objid from pg_event_trigger_ddl_commands() c
        where c.classid = 'pg_catalog.pg_class'::regclass
            and c.object_type = 'table' and c.schema_name is distinct from 'pg_temp'
    loop
        begin
            perform aerodb_internal.realtime_attach(made.objid);
        exception when others then
            raise log 'realtime cannot follow relation %: %', made.objid, sqlerrm;
        end;
    end loop;
end
$$;

-- Only a superuser may make event triggers; without one, tables are found when they are subscribed to.
do $$
begin
    drop event trigger if exists aerodb_realtime_table_made;
    create event trigger aerodb_realtime_table_made
        on ddl_command_end
        when tag in ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE')
        execute function aerodb_internal.on_table_made();
exception when insufficient_privilege then
    null;
end
$$;

-- Private channels (wire contract §4.10): a policy for SELECT on this table lets its caller join, one
-- for INSERT lets it send; `realtime.topic()` is the channel's name. No row is ever kept here.
create schema if not exists realtime;
grant usage on schema realtime to anon, authenticated, service_role;

create or replace function realtime.topic() returns text
    language sql stable parallel safe
    return nullif(current_setting('realtime.topic', true), '');

comment on function realtime.topic() is 'The private channel that is asked about, or null.';

create table if not exists realtime.messages (
    id uuid primary key default gen_random_uuid(),
    topic text not null,
    extension text not null, -- broadcast, presence
    event text,
    payload jsonb,
    private boolean not null default true,
    inserted_at timestamptz not null default now()
);
alter table realtime.messages enable row level security;
grant select, insert on realtime.messages to anon, authenticated, service_role;
grant execute on all functions in schema realtime to anon, authenticated, service_role;

-- A row that a caller's policies show, or do not. For the login of requests alone, before it takes the
-- caller's role, in a transaction that is taken back.
create or replace function aerodb_internal.realtime_probe(probed_topic text) returns uuid
    language sql volatile security definer
    set search_path = ''
begin atomic
    insert into realtime.messages (topic, extension, private)
        values (probed_topic, 'broadcast', true) returning id;
end;

revoke all on function aerodb_internal.realtime_probe(text) from public;
do $$
begin
    if exists (select from pg_roles where rolname = 'authenticator') then
        grant usage on schema aerodb_internal to authenticator;
        grant execute on function aerodb_internal.realtime_probe(text) to authenticator;
    end if;
end
$$;
