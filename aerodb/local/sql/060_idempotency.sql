-- What writes with an Idempotency-Key answered (wire contract §1.8). Whoever can read this table can
-- read other callers' answers, so no API role can reach it: both functions are for `authenticator`
-- alone, and are called before a request takes its role and after it has laid it down. SQL that runs
-- for a request, be it a function that a user wrote, gets `permission denied`.
create table if not exists aerodb_internal.idempotency_records (
    scope bytea primary key, -- SHA-256 of role, sub, method, path and key
    fingerprint bytea not null, -- SHA-256 of the request
    status int not null,
    headers jsonb not null,
    body bytea, -- null: it was too large to be kept
    made_at timestamptz not null default now()
);

create index if not exists idempotency_records_made_at
    on aerodb_internal.idempotency_records (made_at);

-- The state of a key, and the right to use it if it is free: then nobody else gets that right until
-- this transaction has ended. Nobody waits either: a wait would hold a connection.
create or replace function aerodb_internal.claim_idempotency_key(
    wanted bytea, request bytea, lock_key bigint,
    out state text, out status int, out headers jsonb, out body text
)
    language plpgsql security definer
    set search_path = ''
as $$
declare
    found_record aerodb_internal.idempotency_records;
begin
    if not pg_try_advisory_xact_lock(lock_key) then
        state := 'running';
        return;
    end if;
    -- A statement after the lock, so that it sees what the last holder of the lock has committed.
    select * into found_record
    from aerodb_internal.idempotency_records r
    where r.scope = wanted and r.made_at > now() - interval '24 hours';
    if not found then
        state := 'free';
    elsif found_record.fingerprint <> request then
        state := 'other request';
    elsif found_record.body is null then
        state := 'too large';
    else
        state := 'done';
        status := found_record.status;
        headers := found_record.headers;
        body := encode(found_record.body, 'hex');
    end if;
end
$$;

-- Keeps the answer of the request that claimed the key, in the transaction of its effect.
create or replace function aerodb_internal.keep_idempotent_answer(
    wanted bytea, request bytea, answer_status int, answer_headers jsonb, answer_body bytea
) returns void
    language plpgsql security definer
    set search_path = ''
as $$
begin
    insert into aerodb_internal.idempotency_records as r (scope, fingerprint, status, headers, body)
    values (wanted, request, answer_status, answer_headers, answer_body)
    on conflict (scope) do update
        set fingerprint = excluded.fingerprint, status = excluded.status,
            headers = excluded.headers, body = excluded.body, made_at = excluded.made_at
        where r.made_at <= now() - interval '24 hours';
    if not found then
        raise exception 'the idempotency key is in use' using errcode = 'serialization_failure';
    end if;
    -- A few old records go with each new one, so there are never many. Not under the stricter
    -- isolation levels: there, tidying up at the same time could make a request fail.
    if current_setting('transaction_isolation') = 'read committed' then
        delete from aerodb_internal.idempotency_records r
        where r.ctid = any (array(
            select old.ctid from aerodb_internal.idempotency_records old
            where old.made_at <= now() - interval '24 hours'
            order by old.made_at limit 10 for update skip locked
        ));
    end if;
end
$$;

revoke all on function
    aerodb_internal.claim_idempotency_key(bytea, bytea, bigint),
    aerodb_internal.keep_idempotent_answer(bytea, bytea, int, jsonb, bytea)
    from public;
grant usage on schema aerodb_internal to authenticator;
grant execute on function
    aerodb_internal.claim_idempotency_key(bytea, bytea, bigint),
    aerodb_internal.keep_idempotent_answer(bytea, bytea, int, jsonb, bytea)
    to authenticator;
