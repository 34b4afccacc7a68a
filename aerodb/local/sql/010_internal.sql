-- What the instance itself keeps. The schema is never exposed, and no API role may use it.
create schema if not exists aerodb_internal;
revoke all on schema aerodb_internal from public;

create table if not exists aerodb_internal.migrations (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
);

-- The schemas that the REST part serves; written at every start.
create table if not exists aerodb_internal.exposed_schemas (
    name text primary key
);
