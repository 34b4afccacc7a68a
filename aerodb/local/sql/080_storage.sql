-- Buckets and objects (wire contract §5). What is in an object lies in the object store, under an id
-- that says nothing; these tables say who may reach it. The storage part logs in as `aerodb_storage`
-- and runs every statement about buckets and objects as the role of the caller, under the policies
-- below. No request can become `aerodb_storage`.
do $$
begin
    if not exists (select from pg_roles where rolname = 'aerodb_storage') then
        create role aerodb_storage noinherit login;
    end if;
    -- Over a database that is not the instance's own there may be no such role: there the login that
    -- the instance was given becomes the callers' roles itself.
    if exists (select from pg_roles where rolname = 'authenticator') then
        -- So that it can become whatever `authenticator` can, roles of the user's own among it.
        grant authenticator to aerodb_storage;
    end if;
end
$$;

alter role aerodb_storage set statement_timeout = '60s';
alter role aerodb_storage set idle_in_transaction_session_timeout = '60s';
alter role aerodb_storage set search_path = public; -- for triggers that users put on these tables

create schema if not exists storage;

create table if not exists storage.buckets (
    id text primary key,
    name text not null unique,
    owner uuid,
    policy text not null default 'private' check (policy in ('public', 'authenticated', 'private')),
    public boolean generated always as (policy = 'public') stored,
    file_size_limit bigint check (file_size_limit > 0), -- null: the instance's default
    allowed_mime_types text[],
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- What was or is being uploaded, by the id that it has in the object store. The row is there before
-- the first byte is, and goes after the last one has gone: so nothing that a crash leaves is lost
-- sight of. From `doomed_at` on it is removed unless something refers to it. An id is a capability:
-- who knows it has been able to read that content.
create table if not exists storage.contents (
    id uuid primary key default gen_random_uuid(),
    size bigint, -- null: not complete
    sha256 bytea,
    doomed_at timestamptz
);

create index if not exists contents_doomed_at on storage.contents (doomed_at)
    where doomed_at is not null;

create table if not exists storage.objects (
    id uuid primary key default gen_random_uuid(),
    bucket_id text not null references storage.buckets,
    name text collate "C" not null, -- the whole key
    owner uuid,
    content_id uuid not null references storage.contents,
    size bigint not null default 0, -- this and the next follow from the content
    etag text not null default '',
    content_type text not null default 'application/octet-stream',
    cache_control text,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (bucket_id, name)
);

create index if not exists objects_content_id on storage.objects (content_id);

-- Uploads that take more than one request (wire contract §5.5), and the parts that have come.
create table if not exists storage.uploads (
    id uuid primary key default gen_random_uuid(),
    bucket_id text not null references storage.buckets on delete cascade,
    name text collate "C" not null,
    role text, -- null: it was begun with a signed URL
    owner uuid,
    upsert boolean not null,
    length bigint not null,
    received bigint not null default 0,
    content_type text not null,
    cache_control text,
    metadata jsonb not null,
    announced text not null, -- Upload-Metadata as it came
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

create index if not exists uploads_bucket_id on storage.uploads (bucket_id);
create index if not exists uploads_expires_at on storage.uploads (expires_at);

create table if not exists storage.upload_parts (
    upload_id uuid not null references storage.uploads on delete cascade,
    position bigint not null,
    content_id uuid not null references storage.contents,
    size bigint not null,
    primary key (upload_id, position)
);

create index if not exists upload_parts_content_id on storage.upload_parts (content_id);

-- The key that signed URLs are signed with, where no file of the instance's own keeps it.
create table if not exists storage.signing_keys (
    id int primary key check (id = 1),
    secret text not null
);

-- Size and tag are the content's, whatever a statement says.
create or replace function storage.on_object_written() returns trigger
    language plpgsql security definer
    set search_path = ''
as $$
begin
    select coalesce(c.size, 0), coalesce('"' || left(encode(c.sha256, 'hex'), 32) || '"', '')
        into new.size, new.etag
        from storage.contents c where c.id = new.content_id;
    if tg_op = 'UPDATE' then
        new.updated_at := clock_timestamp();
    end if;
    return new;
end
$$;

-- A content that something has let go of is removed soon after the commit, unless something else
-- refers to it.
create or replace function storage.on_content_released() returns trigger
    language plpgsql security definer
    set search_path = ''
as $$
begin
    if tg_op = 'DELETE' or new.content_id <> old.content_id then
        update storage.contents c set doomed_at = now() where c.id = old.content_id;
    end if;
    return null;
end
$$;

create or replace function storage.on_truncated() returns trigger
    language plpgsql security definer
    set search_path = ''
as $$
begin
    update storage.contents c set doomed_at = now() where c.doomed_at is null;
    return null;
end
$$;

create or replace function storage.on_bucket_written() returns trigger
    language plpgsql
    set search_path = ''
as $$
begin
    new.updated_at := clock_timestamp();
    return new;
end
$$;

create or replace trigger object_written before insert or update on storage.objects
    for each row execute function storage.on_object_written();
create or replace trigger object_released after delete or update of content_id on storage.objects
    for each row execute function storage.on_content_released();
create or replace trigger objects_truncated after truncate on storage.objects
    for each statement execute function storage.on_truncated();
create or replace trigger part_released after delete on storage.upload_parts
    for each row execute function storage.on_content_released();
create or replace trigger parts_truncated after truncate on storage.upload_parts
    for each statement execute function storage.on_truncated();
create or replace trigger bucket_written before update on storage.buckets
    for each row execute function storage.on_bucket_written();

-- For policies: what a key is made of.
create or replace function storage.foldername(name text) returns text[]
    language sql immutable parallel safe
    return (string_to_array(name, '/'))[1 : cardinality(string_to_array(name, '/')) - 1];

create or replace function storage.filename(name text) returns text
    language sql immutable parallel safe
    return (string_to_array(name, '/'))[cardinality(string_to_array(name, '/'))];

create or replace function storage.extension(name text) returns text
    language sql immutable parallel safe
    return substring(storage.filename(name) from '\.([^.]+)$');

-- Whether the default policies of a table hold: until it gets a policy that is not the instance's.
create or replace function storage.defaults_hold(relation regclass) returns boolean
    language sql stable security definer
    set search_path = ''
as $$
    select not exists (
        select from pg_catalog.pg_policy p
        where p.polrelid = relation and p.polpermissive and p.polname not like 'aerodb\_%'
    )
$$;

-- The buckets in which somebody may do something to every object, or to their own alone
-- (wire contract §5.1). They ask as the owner of the tables: what the caller sees of
-- `storage.buckets` may be another matter.
create or replace function storage.buckets_for(action text, caller uuid) returns setof text
    language sql stable security definer
    set search_path = ''
as $$
    select b.id from storage.buckets b
    where b.owner = caller
        or (b.policy = 'public' and action = 'read')
        or (b.policy = 'authenticated' and action in ('read', 'write') and caller is not null)
$$;

-- The SHA-256 of a content, for who has been able to read its id.
create or replace function storage.content_sum(content uuid) returns bytea
    language sql stable security definer
    set search_path = ''
as $$
    select c.sha256 from storage.contents c where c.id = content
$$;

revoke all on all tables in schema storage from public, anon, authenticated, service_role;
revoke all on all functions in schema storage from public;
grant usage on schema storage to public, aerodb_storage;
grant execute on function
    storage.foldername(text), storage.filename(text), storage.extension(text),
    storage.defaults_hold(regclass), storage.buckets_for(text, uuid),
    storage.content_sum(uuid)
    to public;
grant select, insert, delete on storage.buckets, storage.objects
    to anon, authenticated, service_role;
grant update on storage.buckets, storage.objects to service_role;
-- Nobody takes over what somebody else owns.
grant update (policy, file_size_limit, allowed_mime_types) on storage.buckets
    to anon, authenticated;
grant update (bucket_id, name, content_id, content_type, cache_control, metadata) on storage.objects
    to anon, authenticated;
grant select, insert, update, delete
    on storage.buckets, storage.objects, storage.contents, storage.uploads, storage.upload_parts
    to aerodb_storage;

do $$
declare
    relation regclass;
begin
    foreach relation in array array[
        'storage.buckets', 'storage.objects', 'storage.contents', 'storage.uploads',
        'storage.upload_parts', 'storage.signing_keys'
    ]::regclass[] loop
        execute format('alter table %s enable row level security', relation);
        execute format('drop policy if exists aerodb_storage on %s', relation);
        execute format(
            'create policy aerodb_storage on %s to aerodb_storage using (true) with check (true)',
            relation
        );
    end loop;
end
$$;

drop policy if exists aerodb_default_read on storage.buckets;
drop policy if exists aerodb_default_create on storage.buckets;
drop policy if exists aerodb_default_change on storage.buckets;
drop policy if exists aerodb_default_delete on storage.buckets;
drop policy if exists aerodb_default_read on storage.objects;
drop policy if exists aerodb_default_create on storage.objects;
drop policy if exists aerodb_default_change on storage.objects;
drop policy if exists aerodb_default_delete on storage.objects;

create policy aerodb_default_read on storage.buckets for select using (
    (select storage.defaults_hold('storage.buckets'))
    and (
        owner = (select auth.uid())
        or policy = 'public'
        or (policy = 'authenticated' and (select auth.uid()) is not null)
    )
);
create policy aerodb_default_create on storage.buckets for insert with check (
    (select storage.defaults_hold('storage.buckets')) and owner = (select auth.uid())
);
create policy aerodb_default_change on storage.buckets for update using (
    (select storage.defaults_hold('storage.buckets')) and owner = (select auth.uid())
);
create policy aerodb_default_delete on storage.buckets for delete using (
    (select storage.defaults_hold('storage.buckets')) and owner = (select auth.uid())
);

create policy aerodb_default_read on storage.objects for select using (
    (select storage.defaults_hold('storage.objects'))
    and bucket_id in (select storage.buckets_for('read', (select auth.uid())))
);
create policy aerodb_default_create on storage.objects for insert with check (
    (select storage.defaults_hold('storage.objects'))
    and owner = (select auth.uid())
    and bucket_id in (select storage.buckets_for('write', (select auth.uid())))
);
create policy aerodb_default_change on storage.objects for update using (
    (select storage.defaults_hold('storage.objects'))
    and bucket_id in (select storage.buckets_for('write', (select auth.uid())))
);
create policy aerodb_default_delete on storage.objects for delete using (
    (select storage.defaults_hold('storage.objects'))
    and (
        owner = (select auth.uid())
        or bucket_id in (select storage.buckets_for('own', (select auth.uid())))
    )
);
