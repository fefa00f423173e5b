-- Least privilege for the worker's tables in Postgres: worker_migrate owns the schema and changes it, worker_run works
-- with what is in it. Run it once in the worker's database before `worker migrate up`; again does no harm. As its owner,
-- who needs CREATEROLE and owns the platform's tokens, if they are there (doadmin of DigitalOcean's databases), or as a
-- superuser. Then give both a way to log in, and migrate as the one and work as the other:
--
--   psql -v ON_ERROR_STOP=1 -d shop -f deploy/postgres-roles.sql
--   \password worker_migrate
--   \password worker_run
--   DB_USER=worker_migrate worker migrate up
--   DB_USER=worker_run worker run

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'worker_migrate') THEN
        CREATE ROLE worker_migrate LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'worker_run') THEN
        CREATE ROLE worker_run LOGIN;
    END IF;
    -- A superuser may act as any role. Others need it to make the schema over to this one, and for what follows: since
    -- Postgres 16 it takes more than to have created it.
    IF NOT pg_has_role(CURRENT_USER, 'worker_migrate', 'USAGE') THEN
        GRANT worker_migrate TO CURRENT_USER;
    END IF;
END
$$;

-- No statement of the worker comes near these; they bound what else logs in with its password, and what goes wrong.
ALTER ROLE worker_run SET statement_timeout = '30s';
ALTER ROLE worker_run SET lock_timeout = '5s';
ALTER ROLE worker_run SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE worker_run SET search_path = 'worker';

CREATE SCHEMA IF NOT EXISTS worker;
ALTER SCHEMA worker OWNER TO worker_migrate;
REVOKE ALL ON SCHEMA worker FROM PUBLIC;
GRANT USAGE ON SCHEMA worker TO worker_run;

-- Rows, and nothing else: no CREATE, no TRUNCATE, no REFERENCES, no TRIGGER. The defaults are for the tables of
-- migrations to come, the grants for those that are there already.
ALTER DEFAULT PRIVILEGES FOR ROLE worker_migrate IN SCHEMA worker GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO worker_run;
ALTER DEFAULT PRIVILEGES FOR ROLE worker_migrate IN SCHEMA worker GRANT USAGE ON SEQUENCES TO worker_run;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA worker TO worker_run;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA worker TO worker_run;

-- The platform's schema: nothing but the table that the clean-up of tokens reads and updates. Whatever PUBLIC may do
-- there is the platform's own to decide; since Postgres 15 it may create nothing.
REVOKE ALL ON SCHEMA public FROM worker_migrate, worker_run;
DO $$
BEGIN
    IF to_regclass('public.tokens') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA public TO worker_run;
        GRANT SELECT ("id", "tokenType", "status", "expiresAt", "lastUsedAt", "version") ON public.tokens TO worker_run;
        GRANT UPDATE ("status", "revokedAt", "revokedReason", "version", "updatedAt") ON public.tokens TO worker_run;
    END IF;
END
$$;
