-- What policies ask: who is calling? The claims are set for each transaction (wire contract §1.4).
create schema if not exists auth;
grant usage on schema auth to anon, authenticated, service_role;

create or replace function auth.jwt() returns jsonb
    language sql stable parallel safe
    return nullif(current_setting('request.jwt.claims', true), '')::jsonb;

comment on function auth.jwt() is 'All claims of the caller''s token, or null.';

create or replace function auth.uid() returns uuid
    language sql stable parallel safe
    return nullif(auth.jwt() ->> 'sub', '')::uuid;

comment on function auth.uid() is 'The id of the signed-in user, or null.';

create or replace function auth.role() returns text
    language sql stable parallel safe
    return auth.jwt() ->> 'role';

comment on function auth.role() is 'The role that the caller acts as, or null outside of a request.';

create or replace function auth.email() returns text
    language sql stable parallel safe
    return auth.jwt() ->> 'email';

comment on function auth.email() is 'The e-mail address of the signed-in user, or null.';

grant execute on all functions in schema auth to anon, authenticated, service_role;
