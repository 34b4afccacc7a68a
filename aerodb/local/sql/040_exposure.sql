-- Tables, sequences and functions that the owner makes in an exposed schema can be used by the API
-- roles at once; row-level security decides about rows. That is also true for a schema that a
-- migration makes, drops or makes anew.
create or replace function aerodb_internal.expose_schema(schema_name text) returns void
    language plpgsql
    set search_path = ''
as $$
declare
    roles constant text := 'anon, authenticated, service_role';
    kind text;
begin
    -- What the instance keeps is nobody's, even if somebody exposes it.
    if schema_name in ('auth', 'storage', 'aerodb_internal') then
        return;
    end if;
    execute format('grant usage on schema %I to %s', schema_name, roles);
    foreach kind in array array['tables', 'sequences', 'routines'] loop
        execute format('grant all on all %s in schema %I to %s', kind, schema_name, roles);
        execute format(
            'alter default privileges in schema %I grant all on %s to %s', schema_name, kind, roles
        );
    end loop;
end
$$;

create or replace function aerodb_internal.on_schema_created() returns event_trigger
    language plpgsql security definer
    set search_path = ''
as $$
declare
    made record;
begin
    for made in
        select c.object_identity as identity, n.nspname as name
        from pg_event_trigger_ddl_commands() c
        join pg_catalog.pg_namespace n on n.oid = c.objid
        join aerodb_internal.exposed_schemas e on e.name = n.nspname
        where c.classid = 'pg_catalog.pg_namespace'::regclass
    loop
        perform aerodb_internal.expose_schema(made.name);
    end loop;
end
$$;

drop event trigger if exists aerodb_schema_created;
create event trigger aerodb_schema_created
    on ddl_command_end
    when tag in ('CREATE SCHEMA')
    execute function aerodb_internal.on_schema_created();
