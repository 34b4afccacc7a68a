-- Every change of the schema tells the REST part to read the catalog again. NOTIFY is sent at
-- commit, and once per transaction however many statements it had.
create or replace function aerodb_internal.on_ddl_of_permanent_objects() returns event_trigger
    language plpgsql
    set search_path = ''
as $$
begin
    -- Temporary tables are nobody's business, and some programs make one per query.
    if exists (
        select from pg_event_trigger_ddl_commands() c
        where c.schema_name is distinct from 'pg_temp'
    ) then
        perform pg_notify('pgrst', 'reload schema');
    end if;
end
$$;

create or replace function aerodb_internal.on_drop() returns event_trigger
    language plpgsql
    set search_path = ''
as $$
begin
    if exists (select from pg_event_trigger_dropped_objects() d where not d.is_temporary) then
        perform pg_notify('pgrst', 'reload schema');
    end if;
end
$$;

drop event trigger if exists aerodb_ddl;
create event trigger aerodb_ddl
    on ddl_command_end
    execute function aerodb_internal.on_ddl_of_permanent_objects();

drop event trigger if exists aerodb_drop;
create event trigger aerodb_drop
    on sql_drop
    execute function aerodb_internal.on_drop();
