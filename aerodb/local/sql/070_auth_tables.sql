-- Users, their sessions, and what they were mailed (wire contract §2). The instance works on these as
-- `aerodb_auth`, a login of its own: no role that a request can take is a member of it, and
-- `authenticator` is not either, so no SQL that runs for a request reaches these tables.
do $$
begin
    if not exists (select from pg_roles where rolname = 'aerodb_auth') then
        create role aerodb_auth noinherit login;
    end if;
end
$$;

alter role aerodb_auth set statement_timeout = '10s';
alter role aerodb_auth set idle_in_transaction_session_timeout = '10s';
alter role aerodb_auth set search_path = public; -- for triggers that users put on these tables

-- The names of the columns are those that triggers and policies of hosted services know.
create table if not exists auth.users (
    id uuid primary key default gen_random_uuid(),
    email text not null unique, -- trimmed and in lower case
    encrypted_password text, -- Argon2id; null: no password opens this account
    email_confirmed_at timestamptz,
    last_sign_in_at timestamptz,
    role text not null default 'authenticated',
    raw_user_meta_data jsonb not null default '{}',
    raw_app_meta_data jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- One sign-in, and all refresh tokens that came of it.
create table if not exists auth.sessions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references auth.users on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);

create index if not exists sessions_user_id on auth.sessions (user_id);

create table if not exists auth.refresh_tokens (
    token_hash bytea primary key, -- SHA-256
    session_id uuid not null references auth.sessions on delete cascade,
    parent_hash bytea, -- the token that this one was given for
    created_at timestamptz not null default now(),
    used_at timestamptz
);

create index if not exists refresh_tokens_session_id on auth.refresh_tokens (session_id);
create unique index if not exists refresh_tokens_parent_hash on auth.refresh_tokens (parent_hash);

-- What a mail asks to bring back; the row goes with its use.
create table if not exists auth.one_time_tokens (
    token_hash bytea primary key, -- SHA-256
    user_id uuid not null references auth.users on delete cascade,
    kind text not null, -- confirmation, email_change, recovery
    email text not null, -- the address that it was sent to
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

create index if not exists one_time_tokens_user_id on auth.one_time_tokens (user_id);

-- The mails that a development instance does not send.
create table if not exists aerodb_internal.outbox (
    id bigint generated always as identity primary key,
    recipient text not null,
    kind text not null,
    token text,
    subject text not null,
    body text not null,
    created_at timestamptz not null default now()
);

create table if not exists aerodb_internal.auth_attempts (
    bucket bytea primary key, -- SHA-256 of what is counted
    attempts int not null,
    window_ends timestamptz not null
);

-- Rights for `aerodb_auth` alone. Row-level security besides: should somebody grant an API role a
-- right on these tables, it still sees no row.
do $$
declare
    relation regclass;
begin
    foreach relation in array array[
        'auth.users', 'auth.sessions', 'auth.refresh_tokens', 'auth.one_time_tokens',
        'aerodb_internal.outbox', 'aerodb_internal.auth_attempts'
    ]::regclass[] loop
        execute format('revoke all on %s from public, anon, authenticated, service_role', relation);
        execute format('grant select, insert, update, delete on %s to aerodb_auth', relation);
        execute format('alter table %s enable row level security', relation);
        execute format('drop policy if exists aerodb_auth on %s', relation);
        execute format(
            'create policy aerodb_auth on %s to aerodb_auth using (true) with check (true)', relation
        );
    end loop;
end
$$;

grant usage on schema auth, aerodb_internal to aerodb_auth;

-- Spends a refresh token (wire contract §2.4). `child` is the hash of the token that follows it: both
-- are known beforehand, as a token follows from its parent. The lock on the session lets one of many
-- go on at a time; each statement then sees what the one before it has done.
create or replace function aerodb_internal.spend_refresh_token(
    presented bytea, child bytea, lifetime interval, grace interval,
    out outcome text, out session uuid
)
    language plpgsql
    set search_path = ''
as $$
declare
    found_session auth.sessions;
    found_token auth.refresh_tokens;
begin
    select t.session_id into session from auth.refresh_tokens t where t.token_hash = presented;
    select * into found_session from auth.sessions s where s.id = session for no key update;
    select * into found_token from auth.refresh_tokens t where t.token_hash = presented;
    if found_session.id is null or found_token.token_hash is null then
        outcome := 'unknown';
    elsif found_session.revoked_at is not null then
        outcome := 'revoked';
    elsif found_session.expires_at <= clock_timestamp() then
        outcome := 'expired';
    elsif found_token.used_at is null then
        outcome := 'rotated';
        update auth.refresh_tokens t set used_at = clock_timestamp()
            where t.token_hash = presented and t.used_at is null;
        insert into auth.refresh_tokens (token_hash, session_id, parent_hash)
            values (child, session, presented);
        update auth.sessions s set expires_at = clock_timestamp() + lifetime where s.id = session;
        delete from auth.refresh_tokens t
            where t.session_id = session and t.used_at < clock_timestamp() - lifetime;
    elsif found_token.used_at > clock_timestamp() - grace and exists (
        select from auth.refresh_tokens t
        where t.parent_hash = presented and t.token_hash = child and t.used_at is null
    ) then
        outcome := 'repeated';
    else
        outcome := 'reused';
        update auth.sessions s set revoked_at = clock_timestamp() where s.id = session;
    end if;
end
$$;

-- Counts one attempt; tells how many seconds to wait if that was one too many, else 0.
create or replace function aerodb_internal.count_attempt(
    counted bytea, most int, window_length interval
) returns int
    language plpgsql
    set search_path = ''
as $$
declare
    kept aerodb_internal.auth_attempts;
begin
    delete from aerodb_internal.auth_attempts a where a.window_ends <= now();
    insert into aerodb_internal.auth_attempts as a (bucket, attempts, window_ends)
        values (counted, 1, now() + window_length)
        on conflict (bucket) do update set attempts = a.attempts + 1
        returning * into kept;
    if kept.attempts <= most then
        return 0;
    end if;
    return greatest(1, ceil(extract(epoch from kept.window_ends - now())));
end
$$;

revoke all on function
    aerodb_internal.spend_refresh_token(bytea, bytea, interval, interval),
    aerodb_internal.count_attempt(bytea, int, interval)
    from public;
grant execute on function
    aerodb_internal.spend_refresh_token(bytea, bytea, interval, interval),
    aerodb_internal.count_attempt(bytea, int, interval)
    to aerodb_auth;
